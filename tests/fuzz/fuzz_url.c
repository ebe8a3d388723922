/*
 * Addresses of a server, or of several: redis_url_parse, redis_url_show, redis_target_add.
 *
 * Oracle: whatever is accepted has fields within their bounds and, written out again with every
 * doubtful byte escaped, is read as the same address. Whatever is refused leaves nothing behind and
 * a printable sentence that holds nothing of the user information of the address. What is an
 * address is also a target of one server, and each server in a target could be an address.
 */
#include "fuzz.h"

#include "leaderwrap/redis/target.h"

#define DATABASE_MOST 1000000
#define SECRET        "zqSecretqz"

static bool is_plain(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9');
}

/* Appends `text` with everything but letters and digits escaped. Returns the new end. */
static char *escape(char *end, const char *text)
{
    for (; *text != '\0'; text++) {
        if (is_plain(*text))
            *end++ = *text;
        else
            end += sprintf(end, "%%%02X", (unsigned char)*text);
    }
    *end = '\0';
    return end;
}

static size_t escaped_size(const char *text)
{
    return text != NULL ? 3 * strlen(text) : 0;
}

static char *write_out(const struct redis_url *url)
{
    size_t size = escaped_size(url->user) + escaped_size(url->password) + escaped_size(url->host) +
                  escaped_size(url->path) + 64;
    char *text = malloc(size);
    char *end = text;

    if (text == NULL)
        abort();
    end += sprintf(end, "%s://", url->is_unix ? "unix" : url->is_tls ? "rediss" : "redis");
    if (url->user != NULL)
        end = escape(end, url->user);
    if (url->password != NULL) {
        *end++ = ':';
        end = escape(end, url->password);
    }
    if (url->user != NULL || url->password != NULL)
        *end++ = '@';
    if (url->is_unix) {
        *end++ = '/';
        end = escape(end, url->path + 1);
        sprintf(end, "?db=%d", url->database);
    } else {
        end = escape(end, url->host);
        sprintf(end, ":%s/%d", url->port, url->database);
    }
    return text;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_fields(const struct redis_url *url)
{
    int port = 0;

    ORACLE(url->database >= 0 && url->database <= DATABASE_MOST);
    ORACLE(url->user == NULL || url->user[0] != '\0');
    ORACLE(url->password == NULL || url->password[0] != '\0');
    if (url->is_unix) {
        ORACLE(url->path != NULL && url->path[0] == '/' && url->path[1] != '\0');
        ORACLE(url->host == NULL && url->port[0] == '\0');
        return;
    }
    ORACLE(url->path == NULL && url->host != NULL && url->host[0] != '\0');
    ORACLE(memchr(url->port, '\0', sizeof url->port) != NULL && url->port[0] != '0');
    for (const char *digit = url->port; *digit != '\0'; digit++) {
        ORACLE(*digit >= '0' && *digit <= '9');
        port = port * 10 + (*digit - '0');
    }
    ORACLE(port >= 1 && port <= 65535);
}

static void check_round_trip(const struct redis_url *url)
{
    char error[256] = "";
    char shown[64];
    struct redis_url again;
    char *text = write_out(url);

    ORACLE(redis_url_parse(text, &again, error, sizeof error) == 0);
    ORACLE(again.is_unix == url->is_unix && again.is_tls == url->is_tls);
    ORACLE(again.database == url->database);
    ORACLE(is_same(again.host, url->host) && is_same(again.path, url->path));
    ORACLE(is_same(again.user, url->user) && is_same(again.password, url->password));
    ORACLE(strcmp(again.port, url->port) == 0);
    ORACLE(redis_url_show(&again, shown, sizeof shown) == shown && strlen(shown) < sizeof shown);
    redis_url_clear(&again);
    free(text);
}

static void check_refusal(const struct redis_url *url, const char *error)
{
    ORACLE(error[0] != '\0' && is_printable(error));
    ORACLE(url->host == NULL && url->path == NULL && url->user == NULL && url->password == NULL);
}

/* The user information is what stands before the last @, however wrong the rest is: a word of our
 * own is put there. */
static void check_secrecy(const char *text)
{
    const char *at = strrchr(text, '@');
    char *marked = malloc(strlen(text) + sizeof SECRET);
    char error[256] = "";
    struct redis_url url;
    struct redis_target target = {0};

    if (marked == NULL)
        abort();
    if (at != NULL && strstr(text, SECRET) == NULL) {
        sprintf(marked, "%.*s%s%s", (int)(at - text), text, SECRET, at);
        if (redis_url_parse(marked, &url, error, sizeof error) != 0)
            check_refusal(&url, error);
        ORACLE(strstr(error, SECRET) == NULL);
        redis_url_clear(&url);
        error[0] = '\0';
        (void)redis_target_add(&target, marked, error, sizeof error);
        ORACLE(strstr(error, SECRET) == NULL);
        redis_target_clear(&target);
    }
    free(marked);
}

static void check_target_fields(const struct redis_target *target)
{
    char shown[64];

    ORACLE(target->kind == REDIS_SENTINELS || target->service == NULL);
    ORACLE(target->seed_count <= REDIS_SEEDS_MAX);
    ORACLE(target->url.is_unix ? target->seed_count == 0 : target->seed_count > 0);
    ORACLE(target->service == NULL || redis_check_service(target->service) == NULL);
    check_fields(&target->url);
    for (size_t i = 0; i < target->seed_count; i++) {
        struct redis_url url = {.host = target->seeds[i].host};

        memcpy(url.port, target->seeds[i].port, sizeof url.port);
        check_fields(&url);
    }
    /* One without a name is made whole by an option. */
    if (target->kind != REDIS_SENTINELS || target->service != NULL)
        ORACLE(redis_target_show(target, shown, sizeof shown) == shown &&
               strlen(shown) < sizeof shown);
}

static void check_target(const char *text, bool is_address)
{
    char error[256] = "";
    struct redis_target target = {0};

    if (redis_target_add(&target, text, error, sizeof error) == 0) {
        ORACLE(error[0] == '\0');
        ORACLE(!is_address || (target.kind == REDIS_SERVER && target.seed_count <= 1));
        check_target_fields(&target);
    } else {
        ORACLE(!is_address && error[0] != '\0' && is_printable(error));
    }
    redis_target_clear(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = input_text(data, size);
    char error[256] = "";
    struct redis_url url;

    if (redis_url_parse(text, &url, error, sizeof error) == 0) {
        ORACLE(error[0] == '\0');
        check_fields(&url);
        check_round_trip(&url);
        check_target(text,
                     strchr(text, ',') == NULL && strstr(strstr(text, "://") + 3, "://") == NULL);
        redis_url_clear(&url);
    } else {
        check_refusal(&url, error);
        check_target(text, false);
    }
    check_secrecy(text);
    free(text);
    return 0;
}
