/* From one or several addresses to a target, and what belongs to one. */
#include "leaderwrap/redis/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTINEL_PORT "26379"
#define BLANKS        " \t\r\n"
#define LETTERS       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const char no_memory[] = "the address cannot be read: out of memory";

/* One address, taken apart as far as the single servers in it can be read by themselves. */
struct address {
    bool is_sentinel;      /* redis+sentinel:// */
    const char *scheme;    /* "redis", ... */
    int scheme_length;     /* ... without +sentinel */
    const char *user_info; /* with the @ behind it */
    int user_info_length;
    const char *hosts;
    const char *hosts_end;
    const char *tail; /* what follows the hosts, and a name behind them */
};

static int complain(char *error, size_t size, const char *what)
{
    snprintf(error, size, "%s", what);
    return -1;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* Where `text` begins like an address: "redis+sentinel://". */
static bool has_scheme(const char *text)
{
    size_t length = strspn(text, LETTERS "+");

    return length > 0 && strncmp(text + length, "://", 3) == 0;
}

static struct address take_apart(const char *text)
{
    static const char sentinel[] = "+sentinel";
    const char *slashes = strstr(text, "://");
    struct address address = {.scheme = text, .user_info = slashes + 3};
    size_t scheme = (size_t)(slashes - text);
    size_t suffix = strlen(sentinel);

    if (scheme > suffix && strncasecmp(slashes - suffix, sentinel, suffix) == 0) {
        address.is_sentinel = true;
        scheme -= suffix;
    }
    address.scheme_length = (int)scheme;
    address.tail = address.user_info + strcspn(address.user_info, "/?#");
    const char *at = memrchr(address.user_info, '@', (size_t)(address.tail - address.user_info));
    address.hosts_end = address.tail;
    address.hosts = at != NULL ? at + 1 : address.user_info;
    address.user_info_length = (int)(address.hosts - address.user_info);
    return address;
}

/* Reads "/NAME/db" behind the hosts of sentinels: the name goes to `*name`, NULL where there is
 * none, and `tail` is left at what follows it. Returns NULL or what is wrong. */
static const char *take_service(const char **tail, char **name)
{
    const char *first = *tail;
    size_t length;
    const char *why = NULL;

    *name = NULL;
    if (*first != '/' || first[1] == '\0')
        return NULL;
    first++;
    length = strcspn(first, "/?#");
    *tail = first + length;
    *name = redis_url_decode(first, *tail, &why);
    return *name != NULL ? redis_check_service(*name) : why;
}

const char *redis_check_service(const char *name)
{
    if (*name == '\0')
        return "has no name for the master that the sentinels watch";
    if (strlen(name) >= REDIS_SERVICE_SIZE)
        return "has a name for the sentinels' master that is longer than 128 bytes";
    for (; *name != '\0'; name++)
        if ((unsigned char)*name <= ' ' || *name == 0x7F)
            return "has a blank or a control character in the name of the sentinels' master";
    return NULL;
}

/* What two addresses say of the same thing, where at most one has to. */
static bool agree(char **had, char **given)
{
    if (*had == NULL) {
        *had = *given;
        *given = NULL;
    }
    return *given == NULL || strcmp(*had, *given) == 0;
}

/* Takes from another address what is the server's own. Returns NULL or what is wrong. */
static const char *merge(struct redis_url *url, struct redis_url *other)
{
    if (url->is_unix || other->is_unix)
        return "a unix:// address names one server, and stands alone";
    if (url->is_tls != other->is_tls)
        return "some addresses ask for TLS (rediss://) and others do not: all are reached alike";
    if (!agree(&url->user, &other->user) || !agree(&url->password, &other->password))
        return "the addresses name different users or passwords: those of the server are the same "
               "wherever it is";
    if (url->database == 0)
        url->database = other->database;
    if (other->database != 0 && other->database != url->database)
        return "the addresses name different databases";
    return NULL;
}

static const char *add_seed(struct redis_target *target, const struct redis_url *url)
{
    const char *port =
        target->kind == REDIS_SENTINELS && !url->has_port ? SENTINEL_PORT : url->port;
    struct redis_seed *seeds;

    if (target->seed_count == REDIS_SEEDS_MAX)
        return "there are more than 32 addresses";
    seeds = realloc(target->seeds, (target->seed_count + 1) * sizeof *seeds);
    if (seeds == NULL)
        return no_memory;
    target->seeds = seeds;
    seeds += target->seed_count;
    seeds->host = strdup(url->host);
    if (seeds->host == NULL)
        return no_memory;
    memcpy(seeds->port, port, sizeof seeds->port);
    target->seed_count++;
    return NULL;
}

/* Adds one server, whose address is `text`. */
static int add_one(struct redis_target *target, const char *text, char *error, size_t size)
{
    bool first = target->url.host == NULL && target->url.path == NULL;
    struct redis_url url;
    const char *why = NULL;

    if (redis_url_parse(text, &url, error, size) != 0)
        return -1;
    if (target->kind != REDIS_SERVER && url.is_unix)
        why = "sentinels and clusters cannot be reached by unix:// addresses";
    else if (!first)
        why = merge(&target->url, &url);
    if (why == NULL && !url.is_unix)
        why = add_seed(target, &url);
    if (why == NULL && first) {
        target->url = url;
        if (!url.is_unix)
            memcpy(target->url.port, target->seeds[0].port, sizeof target->url.port);
    } else {
        redis_url_clear(&url);
    }
    return why != NULL ? complain(error, size, why) : 0;
}

/* Takes what an address says of sentinels, but for their hosts. Returns NULL or what is wrong. */
static const char *take_sentinels(struct redis_target *target, struct address *address)
{
    bool others = target->kind == REDIS_SERVER && (target->url.host != NULL || target->url.is_unix);
    char *name;

    if (strchr(address->tail, '@') != NULL)
        return "has a / ? or # in its user or password: write %2F, %3F or %23";
    if (target->kind == REDIS_CLUSTER)
        return "is one of sentinels (redis+sentinel://), which a cluster has not";
    if (others)
        return "is one of sentinels (redis+sentinel://), and cannot stand beside others";
    target->kind = REDIS_SENTINELS;
    const char *why = take_service(&address->tail, &name);
    if (why == NULL && !agree(&target->service, &name))
        why = "names another master than the sentinels are asked for already: one is enough";
    free(name);
    return why;
}

/* Adds the hosts of one address one by one, each as the address that it would be alone. */
static int add_hosts(struct redis_target *target, const struct address *address, char *error,
                     size_t size)
{
    const char *host = address->hosts;
    int result = 0;

    while (result == 0 && host <= address->hosts_end) {
        int length = (int)strcspn(host, ",/?#");
        char *text;

        if (asprintf(&text, "%.*s://%.*s%.*s%s", address->scheme_length, address->scheme,
                     address->user_info_length, address->user_info, length, host,
                     address->tail) < 0)
            return complain(error, size, no_memory);
        result = add_one(target, text, error, size);
        wipe(text);
        host += length + 1;
    }
    return result;
}

static int add_address(struct redis_target *target, const char *text, char *error, size_t size)
{
    struct address address;
    const char *why;

    if (!has_scheme(text))
        return add_one(target, text, error, size);
    address = take_apart(text);
    if (!address.is_sentinel &&
        memchr(address.hosts, ',', (size_t)(address.hosts_end - address.hosts)) == NULL)
        return add_one(target, text, error, size);
    why = address.is_sentinel ? take_sentinels(target, &address) : NULL;
    if (why == NULL)
        return add_hosts(target, &address, error, size);
    snprintf(error, size, "the address %s", why);
    return -1;
}

/* How long the first address in `text` is, and what separates it from the next one. A comma or a
 * blank that no other address follows is a part of it, and a mistake perhaps. */
static size_t address_length(const char *text, size_t *gap)
{
    for (const char *at = text; *at != '\0'; at++) {
        *gap = strspn(at, "," BLANKS);
        if (*gap > 0 && has_scheme(at + *gap))
            return (size_t)(at - text);
    }
    *gap = 0;
    return strlen(text);
}

int redis_target_add(struct redis_target *target, const char *text, char *error, size_t error_size)
{
    size_t gap;

    do {
        size_t length = address_length(text, &gap);
        char *one = strndup(text, length);

        if (one == NULL)
            return complain(error, error_size, no_memory);
        int result = add_address(target, one, error, error_size);
        wipe(one);
        if (result != 0)
            return result;
        text += length + gap;
    } while (gap > 0);
    return 0;
}

/* Copies `from`, which may be NULL. Returns whether there was memory for it. */
static bool copy(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static bool copy_tls(struct tls_files *to, const struct tls_files *from)
{
    to->backend = from->backend;
    to->insecure = from->insecure;
    return copy(&to->authorities, from->authorities) && copy(&to->certificate, from->certificate) &&
           copy(&to->key, from->key) && copy(&to->server_name, from->server_name);
}

int redis_target_one(const struct redis_target *target, enum redis_role role, const char *host,
                     const char *port, struct redis_target *one)
{
    bool sentinel = role == REDIS_AS_SENTINEL;

    memset(one, 0, sizeof *one);
    snprintf(one->url.port, sizeof one->url.port, "%s", port);
    one->url.is_tls = target->url.is_tls;
    one->url.database = sentinel ? 0 : target->url.database;
    one->password_from = sentinel ? target->sentinel_password_from : target->password_from;
    return copy(&one->url.host, host) &&
                   copy(&one->url.user, sentinel ? target->sentinel_user : target->url.user) &&
                   copy(&one->url.password,
                        sentinel ? target->sentinel_password : target->url.password) &&
                   copy(&one->password_file,
                        sentinel ? target->sentinel_password_file : target->password_file) &&
                   copy_tls(&one->tls, &target->tls)
               ? 0
               : -ENOMEM;
}

bool redis_target_has_witnesses(const struct redis_target *target)
{
    return target->kind != REDIS_SERVER;
}

const char *redis_target_password_from(const struct redis_target *target)
{
    if (target->password_file != NULL)
        return target->password_file;
    return target->password_from != NULL ? target->password_from : "the URL";
}

char *redis_target_show(const struct redis_target *target, char *buffer, size_t size)
{
    size_t used = 0;

    if (target->kind == REDIS_SERVER)
        return redis_url_show(&target->url, buffer, size);
    if (target->kind == REDIS_SENTINELS)
        snprintf(buffer, size, "%s of the sentinels at ", target->service);
    else
        snprintf(buffer, size, "the cluster at ");
    for (size_t i = 0; i < target->seed_count; i++) {
        const struct redis_seed *seed = &target->seeds[i];
        bool brackets = strchr(seed->host, ':') != NULL;

        used = strlen(buffer);
        snprintf(buffer + used, size - used, "%s%s%s%s:%s", i > 0 ? ", " : "", brackets ? "[" : "",
                 seed->host, brackets ? "]" : "", seed->port);
    }
    return buffer;
}

void redis_target_clear(struct redis_target *target)
{
    redis_url_clear(&target->url);
    for (size_t i = 0; i < target->seed_count; i++)
        free(target->seeds[i].host);
    free(target->seeds);
    free(target->password_file);
    free(target->service);
    free(target->sentinel_user);
    wipe(target->sentinel_password);
    free(target->sentinel_password_file);
    free(target->tls.authorities);
    free(target->tls.certificate);
    free(target->tls.key);
    free(target->tls.server_name);
    memset(target, 0, sizeof *target);
}
