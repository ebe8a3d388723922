/* Finding and loading a shared object of our own. */
#include "leaderwrap/base/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Writes the path of the object beside the program, as that is called now. Returns 0 or -1. */
static int beside_program(const char *file, char *path, size_t size)
{
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    if (length <= 0)
        return -1;
    program[length] = '\0';
    slash = strrchr(program, '/');
    if (slash == NULL)
        return -1;
    *slash = '\0';
    return snprintf(path, size, "%s/%s", program, file) < (int)size ? 0 : -1;
}

static bool is_ours(const void *found)
{
    const char *const *version = found;

    return found != NULL && strcmp(*version, LEADERWRAP_VERSION) == 0;
}

const void *module_load(const char *file, const char *symbol, const char *user, char *error,
                        size_t error_size)
{
    char path[PATH_MAX];
    const void *built_in = dlsym(RTLD_DEFAULT, symbol);

    if (is_ours(built_in))
        return built_in;
    if (beside_program(file, path, sizeof path) != 0 || access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%s/%s", LEADERWRAP_MODULES, file);
    if (access(path, F_OK) != 0) {
        snprintf(error, error_size, "%s needs %s, which is not there", user, path);
        return NULL;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(error, error_size, "%s needs %s, which cannot be loaded: %s", user, file,
                 dlerror());
        return NULL;
    }
    const void *found = dlsym(handle, symbol);
    if (is_ours(found))
        return found;
    snprintf(error, error_size, "%s is not that of leaderwrap " LEADERWRAP_VERSION, path);
    dlclose(handle);
    return NULL;
}
