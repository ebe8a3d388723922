/*
 * TLS as a filter that knows no socket: what came in goes in, what is to go out comes out. The
 * functions here hand on to those of the backend (openssl.h), the only file that OpenSSL is known
 * to.
 */
#ifndef LEADERWRAP_REDIS_TLS_FILTER_H
#define LEADERWRAP_REDIS_TLS_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/file.h"
#include "leaderwrap/redis/target.h"
#include "leaderwrap/redis/tls.h"

#define TLS_WHY_SIZE 600

struct tls_memory;

/* Why there is no connection, or none any more: a phrase behind "redis at HOST: ". */
struct tls_problem {
    enum lease_failure failure;
    char why[TLS_WHY_SIZE];
};

/* What the files say now. The names are borrowed from struct tls_files, and for messages. */
struct tls_material {
    const struct tls_files *files;
    bool authorities_are_folder; /* by hash names (openssl-rehash(1)) */
    struct file_bytes authorities;
    struct file_bytes certificate; /* the chain of our own; empty: none */
    struct file_bytes key;
};

/* The first member of the backend's own. */
struct tls {
    const struct tls_backend *backend;
};

struct tls_backend {
    const char *version; /* of the leaderwrap that it belongs to */
    int (*check)(const struct tls_material *material, char *error, size_t error_size);
    int (*make)(struct tls **out, const struct tls_material *material, const char *host,
                struct tls_memory **memory, struct tls_problem *problem);
    void (*feed)(struct tls *tls, const char *bytes, size_t length);
    int (*read)(struct tls *tls, char *buffer, size_t size, struct tls_problem *problem);
    int (*write)(struct tls *tls, const char *bytes, size_t length);
    size_t (*take)(struct tls *tls, char *buffer, size_t size);
    bool (*is_open)(const struct tls *tls);
    void (*ended)(const struct tls *tls, const char *how, struct tls_problem *problem);
    void (*describe)(const struct tls *tls, struct tls_peer *peer);
    void (*close)(struct tls *tls);
    void (*free)(struct tls *tls);
    void (*forget)(struct tls_memory *memory);
};

/* Makes the client's end of a connection to `host`, a name or a number; the files are read anew.
 * `*memory`, NULL at first, is what one connection leaves for the next to the same host (a session
 * to take up): it belongs to the caller, must outlive what was made with it, and goes with
 * tls_forget. Returns 0, or -1 and fills `*problem`. Free with tls_free. */
int tls_new(struct tls **out, const struct tls_files *files, const char *host,
            struct tls_memory **memory, struct tls_problem *problem);

/* Takes what has come from the peer. */
void tls_feed(struct tls *tls, const char *bytes, size_t length);

/* Carries the handshake on, and writes what the peer says into `buffer`. Returns how many bytes; 0
 * where more has to come in; or -1, and fills `*problem`: it is good for nothing then. There may be
 * something to take after each call. */
int tls_read(struct tls *tls, char *buffer, size_t size, struct tls_problem *problem);

/* Encrypts; only once it is open. Returns 0 or -ENOMEM. Then there is something to take. */
int tls_write(struct tls *tls, const char *bytes, size_t length);

/* Hands out what is to be sent to the peer. Returns how many bytes, 0 if there are none. */
size_t tls_take(struct tls *tls, char *buffer, size_t size);

/* Whether the handshake is done, and the peer is who it has to be. */
bool tls_is_open(const struct tls *tls);

/* Fills `*problem` with what it means that the peer is gone; `how` says in which way. */
void tls_ended(const struct tls *tls, const char *how, struct tls_problem *problem);

void tls_describe(const struct tls *tls, struct tls_peer *peer);

/* Says good-bye, where it is open: there is something to take. */
void tls_close(struct tls *tls);

/* NULL is fine for both. The backend is that of the memory. */
void tls_free(struct tls *tls);
void tls_forget(const struct tls_files *files, struct tls_memory *memory);

#endif
