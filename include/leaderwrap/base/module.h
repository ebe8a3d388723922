/*
 * Parts of leaderwrap that are loaded only when they are asked for: shared objects that lie beside
 * the program, or where it was installed; or linked into it (-Dbundled=true).
 */
#ifndef LEADERWRAP_BASE_MODULE_H
#define LEADERWRAP_BASE_MODULE_H

#include <stddef.h>

/* Loads the object `file` for the rest of the process's life, unless what it brings is linked in,
 * and returns what `symbol` is there: a structure whose first member is a `const char *` with
 * leaderwrap's version. Returns NULL with a sentence in `error`, which begins with `user`, where it
 * is not there, or not ours. */
const void *module_load(const char *file, const char *symbol, const char *user, char *error,
                        size_t error_size);

#endif
