/*
 * TLS for connections (rediss://). What does it, OpenSSL, is in a shared object of its own that is
 * loaded only where an address asks for it: a plain run would pay half as much time again for its
 * start, and twice the memory, if it were linked.
 */
#ifndef LEADERWRAP_REDIS_TLS_H
#define LEADERWRAP_REDIS_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/redis/target.h"

/* Loads the shared object, from beside the program or from where it was installed. To be called
 * before the first fork, so that whoever is forked has the same one, whatever becomes of the file.
 * It stays. Returns 0, or -1 with a sentence in `error`. */
int tls_load(const struct tls_backend **backend, char *error, size_t error_size);

/* Reads the files and tries all that a connection will do with them. `files->backend` is loaded.
 * Returns 0, or -1 with a sentence in `error`. */
int tls_check_files(const struct tls_files *files, char *error, size_t error_size);

/* What a connection is protected by. Strings are fit to be shown, and cut to their size. */
struct tls_peer {
    char version[16];  /* "TLSv1.3" */
    char cipher[64];   /* "TLS_AES_256_GCM_SHA384" */
    char subject[256]; /* of its certificate: "CN=redis,O=Example"; may be empty */
    char issuer[256];
    char expires[32]; /* "2027-11-26 16:00:00 UTC" */
    bool verified;    /* false: --tls-insecure */
    bool resumed;     /* an earlier session was taken up */
};

#endif
