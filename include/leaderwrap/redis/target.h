/*
 * Where a Redis is and how to get in: all that a connection has to be told of it. What more there
 * is to know is added here and read by the module that needs it; whoever is between hands the
 * target on as it is.
 *
 * A server that others lead to (sentinels, nodes of a cluster) has no address of its own: those of
 * the others, the seeds, stand for it.
 */
#ifndef LEADERWRAP_REDIS_TARGET_H
#define LEADERWRAP_REDIS_TARGET_H

#include <stdbool.h>

#include "leaderwrap/redis/url.h"

#define REDIS_SEEDS_MAX    32
#define REDIS_SERVICE_SIZE 129 /* of a sentinel's name for a master, with its NUL */
#define REDIS_SHOWN_SIZE   256 /* room for redis_target_show */

enum redis_target_kind {
    REDIS_SERVER,    /* one server: url */
    REDIS_SENTINELS, /* the master that sentinels, the seeds, know as `service` */
    REDIS_CLUSTER,   /* the node that has a key's slot, of the cluster that the seeds are of */
};

/* The host and port of a sentinel or node, as they were given. */
struct redis_seed {
    char *host; /* name or address, no brackets */
    char port[6];
};

struct tls_backend;

/* How each connection to a target is encrypted, whatever host it goes to. Paths are absolute: the
 * files are read again at each connect. */
struct tls_files {
    const struct tls_backend *backend; /* of tls_load; NULL: connections are plain */
    char *authorities;                 /* a file or a directory; NULL: the system's */
    char *certificate;                 /* our own; NULL: none */
    char *key;                         /* of that; NULL: it is in the same file */
    char *server_name; /* what a certificate has to be for; NULL: the host that was connected to */
    bool insecure;     /* nothing is verified */
};

struct redis_target {
    enum redis_target_kind kind;
    struct redis_url url;      /* of the server; its host and port are the first seed's where it is
                                  found by seeds, user, password and database the server's own */
    char *password_file;       /* absolute, read at each connect; NULL: the URL's password */
    const char *password_from; /* the setting that the URL's is from; static; NULL: the URL */
    struct redis_seed *seeds;
    size_t seed_count;
    char *service; /* REDIS_SENTINELS */
    /* For the sentinels themselves, all as above; NULL: none. */
    char *sentinel_user;
    char *sentinel_password;
    char *sentinel_password_file;
    const char *sentinel_password_from;
    struct tls_files tls;
};

/* Adds what `text` says: one address, or several with blanks or commas between them; one address
 * may have several hosts (redis://user:pw@a,b:7000/2), and those of sentinels are also written
 * redis+sentinel://user:pw@a,b/NAME/db. `target->kind` and `target->service` are taken as they are
 * found, and what contradicts them, or what was added before, is refused. Returns 0, or -1 with a
 * sentence in `error` that contains no secret; the target is to be cleared in both cases. */
int redis_target_add(struct redis_target *target, const char *text, char *error, size_t error_size);

/* Returns NULL, or what is wrong with a sentinel's name for a master; static. */
const char *redis_check_service(const char *name);

enum redis_role {
    REDIS_AS_SERVER,   /* with the server's user and password, and its database */
    REDIS_AS_SENTINEL, /* with the sentinels' */
};

/* Makes in `*one` the target of the one server or sentinel at `host` and `port` that `target` leads
 * to. Returns 0 or -ENOMEM; to be cleared in both cases. It borrows nothing but static texts. */
int redis_target_one(const struct redis_target *target, enum redis_role role, const char *host,
                     const char *port, struct redis_target *one);

/* Whether a majority of witnesses says who is master. */
bool redis_target_has_witnesses(const struct redis_target *target);

/* The setting or file that the password is from, for messages. */
const char *redis_target_password_from(const struct redis_target *target);

/* Writes where the server is, without any secret: "127.0.0.1:6379", "lab of the sentinels at
 * a:26379, b:26379". Returns `buffer`. */
char *redis_target_show(const struct redis_target *target, char *buffer, size_t size);

/* Wipes the passwords and frees the strings. A zeroed target is fine. */
void redis_target_clear(struct redis_target *target);

#endif
