/*
 * Linked into the programs of the coverage build with -Wl,--wrap=_exit: gcov writes its counts at
 * exit(3), but a keeper, and a child that could not be executed, leave by _exit(2).
 */
#include <gcov.h>

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
