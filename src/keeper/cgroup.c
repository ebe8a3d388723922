/* A leaf in the delegated cgroup v2, for cgroup.kill. */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Looks through the lines of `path` until `match` takes one. */
static bool find_line(const char *path, bool (*match)(char *line, void *result), void *result)
{
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return false;
    while (!found && getline(&line, &size, file) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        found = match(line, result);
    }
    free(line);
    fclose(file);
    return found;
}

/* Copies; a text that does not fit, or that mountinfo has escaped, is no match. */
static bool take(char *target, const char *text)
{
    if (strlen(text) >= PATH_MAX || strchr(text, '\\') != NULL)
        return false;
    memcpy(target, text, strlen(text) + 1);
    return true;
}

/* The unified hierarchy's line of /proc/self/cgroup: "0::/path". */
static bool match_own(char *line, void *result)
{
    return strncmp(line, "0::/", 4) == 0 && take(result, line + 3);
}

struct mount {
    char root[PATH_MAX];
    char point[PATH_MAX];
};

/* A line of mountinfo: id, parent, device, root, mount point, options ... - type source options */
static bool match_mount(char *line, void *result)
{
    struct mount *mount = result;
    char *fields[5];
    char *save = NULL;

    const char *type = strstr(line, " - ");
    if (type == NULL || strncmp(type, " - cgroup2 ", 11) != 0)
        return false;
    for (int i = 0; i < 5; i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (fields[i] == NULL)
            return false;
    }
    return take(mount->root, fields[3]) && take(mount->point, fields[4]);
}

/* Opens the directory of the cgroup we are in. Returns it or -1. */
static int open_own(void)
{
    static const struct mount no_mount;
    char own[PATH_MAX];
    char path[2 * PATH_MAX];
    struct mount mount = no_mount;

    if (!find_line("/proc/self/cgroup", match_own, own) ||
        !find_line("/proc/self/mountinfo", match_mount, &mount))
        return -1;

    /* A bind mount shows only what is below its root. */
    size_t root = strcmp(mount.root, "/") == 0 ? 0 : strlen(mount.root);
    if (strncmp(own, mount.root, root) != 0 || (own[root] != '/' && own[root] != '\0'))
        return -1;
    int length = snprintf(path, sizeof path, "%s%s", mount.point, own + root);
    if (length < 0 || (size_t)length >= sizeof path)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool is_marked(int directory, const char *name)
{
    char value[2];

    return fgetxattr(directory, name, value, sizeof value) == 1 && value[0] == '1';
}

static bool is_delegated(int directory)
{
    struct stat status;

    if (is_marked(directory, "user.delegate") || is_marked(directory, "trusted.delegate"))
        return true;
    return geteuid() != 0 && fstat(directory, &status) == 0 && status.st_uid == geteuid() &&
           faccessat(directory, ".", W_OK, AT_EACCESS) == 0;
}

static int open_in_leaf(const struct cgroup *cgroup, const char *file, int mode)
{
    char path[64];

    snprintf(path, sizeof path, "%s/%s", cgroup->leaf, file);
    return openat(cgroup->parent, path, mode | O_CLOEXEC);
}

static bool open_leaf(struct cgroup *cgroup)
{
    cgroup->procs = open_in_leaf(cgroup, "cgroup.procs", O_WRONLY);
    cgroup->kill = open_in_leaf(cgroup, "cgroup.kill", O_WRONLY);
    cgroup->events = open_in_leaf(cgroup, "cgroup.events", O_RDONLY);
    return cgroup->procs >= 0;
}

static bool open_parent(struct cgroup *cgroup, pid_t keeper)
{
    struct stat namespace;

    cgroup->parent = -1;
    cgroup->procs = -1;
    cgroup->kill = -1;
    cgroup->events = -1;
    /* Containers that share a cgroup may have keepers of one and the same number. */
    if (stat("/proc/self/ns/pid", &namespace) != 0)
        return false;
    snprintf(cgroup->leaf, sizeof cgroup->leaf, "leaderwrap-%llu-%d",
             (unsigned long long)namespace.st_ino, (int)keeper);
    cgroup->parent = open_own();
    return cgroup->parent >= 0 && is_delegated(cgroup->parent);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_all(struct cgroup *cgroup)
{
    close_one(&cgroup->procs);
    close_one(&cgroup->kill);
    close_one(&cgroup->events);
    close_one(&cgroup->parent);
}

bool cgroup_create(struct cgroup *cgroup, pid_t keeper)
{
    if (!open_parent(cgroup, keeper)) {
        close_all(cgroup);
        return false;
    }
    /* An empty leaf of that name was left by a process that once had our pid. */
    (void)unlinkat(cgroup->parent, cgroup->leaf, AT_REMOVEDIR);
    if (mkdirat(cgroup->parent, cgroup->leaf, 0755) != 0) {
        close_all(cgroup);
        return false;
    }
    if (!open_leaf(cgroup)) {
        cgroup_close(cgroup);
        return false;
    }
    return true;
}

bool cgroup_adopt(struct cgroup *cgroup, pid_t keeper)
{
    if (open_parent(cgroup, keeper) && open_leaf(cgroup))
        return true;
    close_all(cgroup);
    return false;
}

void cgroup_enter(const struct cgroup *cgroup)
{
    /* "0" is the writer. A refusal leaves the child where it is, which the sweep can deal with. */
    if (cgroup->procs >= 0 && write(cgroup->procs, "0", 1) != 1)
        return;
}

void cgroup_kill(const struct cgroup *cgroup)
{
    if (cgroup->kill >= 0 && write(cgroup->kill, "1", 1) != 1)
        return;
}

bool cgroup_is_populated(const struct cgroup *cgroup)
{
    char text[256];

    if (cgroup->events < 0)
        return false;
    ssize_t length = pread(cgroup->events, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return strstr(text, "populated 1") != NULL;
}

void cgroup_close(struct cgroup *cgroup)
{
    if (cgroup->parent >= 0)
        (void)unlinkat(cgroup->parent, cgroup->leaf, AT_REMOVEDIR);
    close_all(cgroup);
}
