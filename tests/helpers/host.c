/*
 * The first process of a candidate's pid namespace, which stands for a host: it starts the program
 * in its arguments, reaps whatever is left to it, and ends, with the program's status, only when no
 * process is left. To kill it is to cut the host's power.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNAL_BASE 128

int main(int argc, char **argv)
{
    int status = 0;
    int program_status = 0;

    if (argc < 2)
        return 64;
    pid_t program = fork();
    if (program == 0) {
        execv(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    if (program < 0) {
        perror("fork");
        return 126;
    }
    for (;;) {
        pid_t pid = wait(&status);
        if (pid < 0 && errno != EINTR)
            break;
        if (pid == program)
            program_status = status;
    }
    return WIFSIGNALED(program_status) ? SIGNAL_BASE + WTERMSIG(program_status)
                                       : WEXITSTATUS(program_status);
}
