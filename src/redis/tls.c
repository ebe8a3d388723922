/* Finds and loads the backend, reads the files for it, and hands on to it. */
#include "leaderwrap/redis/tls.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaderwrap/base/module.h"
#include "tls_filter.h"

#define FILE_SIZE_MAX ((size_t)4 * 1024 * 1024)

int tls_load(const struct tls_backend **backend, char *error, size_t error_size)
{
    *backend =
        module_load("leaderwrap-tls.so", "leaderwrap_tls_backend", "rediss://", error, error_size);
    return *backend != NULL ? 0 : -1;
}

/* Whether OpenSSL finds anything in a directory: files are looked up by "HASH.N" alone. */
static bool has_hash_names(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    bool found = false;

    if (folder == NULL)
        return false;
    while (!found && (entry = readdir(folder)) != NULL)
        found = strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.';
    closedir(folder);
    return found;
}

/* Returns NULL or what is wrong with the file. */
static const char *read_file(const char *path, struct file_bytes *out)
{
    const char *why = file_read(path, FILE_SIZE_MAX, out);

    if (why == NULL && out->length == FILE_SIZE_MAX) {
        file_wipe(out);
        why = "it is larger than 4 MiB";
    }
    return why;
}

static const char *read_authorities(const char *path, struct tls_material *material)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return strerror(errno);
    material->authorities_are_folder = S_ISDIR(status.st_mode);
    if (!material->authorities_are_folder)
        return read_file(path, &material->authorities);
    if (access(path, R_OK | X_OK) != 0)
        return strerror(errno);
    return has_hash_names(path) ? NULL
                                : "it has no file with a hash for a name: run openssl "
                                  "rehash on it";
}

static void material_clear(struct tls_material *material)
{
    file_wipe(&material->authorities);
    file_wipe(&material->certificate);
    file_wipe(&material->key);
}

/* Returns 0, or -1 with a sentence in `error`. */
static int material_read(struct tls_material *material, const struct tls_files *files, char *error,
                         size_t size)
{
    const char *what = "certificate authorities";
    const char *path = files->authorities;
    const char *why = NULL;

    *material = (struct tls_material){.files = files};
    if (path != NULL)
        why = read_authorities(path, material);
    if (why == NULL && files->certificate != NULL) {
        what = "certificate";
        path = files->certificate;
        why = read_file(path, &material->certificate);
    }
    if (why == NULL && files->certificate != NULL) {
        what = "private key";
        path = files->key != NULL ? files->key : files->certificate;
        why = read_file(path, &material->key);
    }
    if (why == NULL)
        return 0;
    material_clear(material);
    snprintf(error, size, "cannot read the %s in %.200s: %s", what, path, why);
    return -1;
}

int tls_check_files(const struct tls_files *files, char *error, size_t error_size)
{
    struct tls_material material;
    int result = material_read(&material, files, error, error_size);

    if (result != 0)
        return result;
    result = files->backend->check(&material, error, error_size);
    material_clear(&material);
    return result;
}

int tls_new(struct tls **out, const struct tls_files *files, const char *host,
            struct tls_memory **memory, struct tls_problem *problem)
{
    struct tls_material material;

    if (material_read(&material, files, problem->why, sizeof problem->why) != 0) {
        problem->failure = LEASE_FAILURE_CONFIGURATION;
        return -1;
    }
    int result = files->backend->make(out, &material, host, memory, problem);
    material_clear(&material);
    return result;
}

void tls_feed(struct tls *tls, const char *bytes, size_t length)
{
    tls->backend->feed(tls, bytes, length);
}

int tls_read(struct tls *tls, char *buffer, size_t size, struct tls_problem *problem)
{
    return tls->backend->read(tls, buffer, size, problem);
}

int tls_write(struct tls *tls, const char *bytes, size_t length)
{
    return tls->backend->write(tls, bytes, length);
}

size_t tls_take(struct tls *tls, char *buffer, size_t size)
{
    return tls->backend->take(tls, buffer, size);
}

bool tls_is_open(const struct tls *tls)
{
    return tls->backend->is_open(tls);
}

void tls_ended(const struct tls *tls, const char *how, struct tls_problem *problem)
{
    tls->backend->ended(tls, how, problem);
}

void tls_describe(const struct tls *tls, struct tls_peer *peer)
{
    tls->backend->describe(tls, peer);
}

void tls_close(struct tls *tls)
{
    tls->backend->close(tls);
}

void tls_free(struct tls *tls)
{
    if (tls != NULL)
        tls->backend->free(tls);
}

void tls_forget(const struct tls_files *files, struct tls_memory *memory)
{
    if (memory != NULL)
        files->backend->forget(memory);
}
