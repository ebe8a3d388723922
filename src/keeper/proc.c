/* Readers of /proc. The keeper uses them while it sweeps: stack buffers only, no stdio. */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK_SIZE 2048
#define PATH_SIZE  64

/* Digits to a pid; 0 for anything else. */
static pid_t parse_pid(const char *text)
{
    pid_t pid = 0;

    if (*text == '\0')
        return 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || pid > INT32_MAX / 10 - 1)
            return 0;
        pid = pid * 10 + (*text - '0');
    }
    return pid;
}

static ssize_t read_some(int fd, void *buffer, size_t size)
{
    ssize_t length;

    do {
        length = read(fd, buffer, size);
    } while (length < 0 && errno == EINTR);
    return length;
}

/* Visits the pids in an open "children" file. `*go_on` is what the last visit said. Returns 0 or
 * -errno. */
static int visit_list(int fd, proc_visit_fn *visit, void *context, bool *go_on)
{
    char chunk[CHUNK_SIZE];
    pid_t pid = 0;

    for (;;) {
        ssize_t length = read_some(fd, chunk, sizeof chunk);
        if (length < 0)
            return -errno;
        if (length == 0)
            return 0;
        /* A number may be cut by the end of the chunk: `pid` lives on into the next. */
        for (ssize_t i = 0; i < length; i++) {
            if (chunk[i] >= '0' && chunk[i] <= '9') {
                pid = pid * 10 + (chunk[i] - '0');
                continue;
            }
            if (pid > 0 && !visit(context, pid)) {
                *go_on = false;
                return 0;
            }
            pid = 0;
        }
    }
}

/* Visits the entries of a directory that are numbers. Returns false if it cannot be read. The call
 * is the kernel's, for readdir(3) allocates; its records are what the C library has as dirent64. */
static bool visit_numbers(const char *path, proc_visit_fn *visit, void *context)
{
    _Alignas(struct dirent64) char chunk[CHUNK_SIZE];
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool go_on = true;
    long length = 0;

    if (fd < 0)
        return false;
    while (go_on && (length = syscall(SYS_getdents64, fd, chunk, sizeof chunk)) > 0) {
        for (long at = 0; go_on && at < length;) {
            const struct dirent64 *entry = (const struct dirent64 *)(chunk + at);
            pid_t pid = parse_pid(entry->d_name);
            if (pid > 0)
                go_on = visit(context, pid);
            at += entry->d_reclen;
        }
    }
    close(fd);
    return length >= 0;
}

/* Whether /proc shows our own PID namespace: else its numbers mean other processes. */
static bool proc_is_ours(void)
{
    char text[PATH_SIZE];
    ssize_t length = readlink("/proc/self", text, sizeof text - 1);

    if (length <= 0)
        return false;
    text[length] = '\0';
    return parse_pid(text) == getpid();
}

pid_t proc_parent(pid_t pid)
{
    char text[512];
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read_some(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';

    /* "pid (name) state ppid ...": the name may hold anything, so count from its last bracket. */
    const char *at = strrchr(text, ')');
    if (at == NULL || strlen(at) < 5)
        return 0;
    pid_t parent = 0;
    for (at += 4; *at >= '0' && *at <= '9'; at++)
        parent = parent * 10 + (*at - '0');
    return parent;
}

struct search {
    pid_t parent;
    proc_visit_fn *visit;
    void *context;
};

static bool visit_if_child(void *context, pid_t pid)
{
    const struct search *search = context;

    return proc_parent(pid) != search->parent || search->visit(search->context, pid);
}

enum proc_walk proc_search_children(pid_t parent, proc_visit_fn *visit, void *context)
{
    struct search search = {.parent = parent, .visit = visit, .context = context};

    if (!proc_is_ours() || !visit_numbers("/proc", visit_if_child, &search))
        return PROC_NONE;
    return PROC_LOOSE;
}

enum proc_walk proc_own_children(proc_visit_fn *visit, void *context)
{
    bool go_on = true;

    if (!proc_is_ours())
        return PROC_NONE;
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return proc_search_children(getpid(), visit, context);
    int error = visit_list(fd, visit, context, &go_on);
    close(fd);
    return error == 0 ? PROC_EXACT : PROC_LOOSE;
}

struct threads {
    pid_t parent;
    proc_visit_fn *visit;
    void *context;
    bool go_on;
    bool opened;
};

static bool visit_thread(void *context, pid_t thread)
{
    struct threads *threads = context;
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)threads->parent, (int)thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    threads->opened = true;
    /* A thread that ends while its list is read leaves its children to the next round. */
    (void)visit_list(fd, threads->visit, threads->context, &threads->go_on);
    close(fd);
    return threads->go_on;
}

enum proc_walk proc_children_of(pid_t parent, proc_visit_fn *visit, void *context)
{
    struct threads threads = {.parent = parent, .visit = visit, .context = context, .go_on = true};
    char path[PATH_SIZE];

    if (!proc_is_ours())
        return PROC_NONE;
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    if (visit_numbers(path, visit_thread, &threads) && threads.opened)
        return PROC_LOOSE;
    return proc_search_children(parent, visit, context);
}
