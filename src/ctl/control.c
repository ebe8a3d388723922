/* {"id": "17", "act": "pause", "key": "leaderwrap:server", "reason": "db migration"} */
#include "control.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "leaderwrap/redis/file.h"

#define SPAN_MOST_MS (INT64_C(30) * 24 * 3600 * 1000) /* as of prelude.lua */

static const char bearer[] = "Bearer ";

/* ---- who may ---- */

static int draw_token(char token[CONTROL_TOKEN_SIZE], char *error, size_t size)
{
    unsigned char random[16];

    if (getrandom(random, sizeof random, 0) != sizeof random) {
        snprintf(error, size, "the system has no random numbers");
        return EXIT_OWN_FAILURE;
    }
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    return 0;
}

/* What a header can carry. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

/* The first line of a file that was read. */
static int check_token(const char *path, struct file_bytes *file, char token[CONTROL_TOKEN_SIZE],
                       char *error, size_t size)
{
    size_t length = strcspn(file->bytes, "\r\n");

    file->bytes[length] = '\0';
    if (length < CONTROL_TOKEN_LEAST || length >= CONTROL_TOKEN_SIZE || !is_plain(file->bytes)) {
        snprintf(error, size,
                 "--token-file %.100s: a token has %d to %d printable characters and no blank",
                 path, CONTROL_TOKEN_LEAST, CONTROL_TOKEN_SIZE - 1);
        return EXIT_USAGE;
    }
    memcpy(token, file->bytes, length + 1);
    return 0;
}

int control_take_token(const char *path, char token[CONTROL_TOKEN_SIZE], char *error, size_t size)
{
    struct file_bytes file;

    if (path == NULL)
        return draw_token(token, error, size);
    const char *why = file_read(path, CONTROL_TOKEN_SIZE + 1, &file);
    if (why != NULL) {
        snprintf(error, size, "cannot use --token-file %.100s: %s", path, why);
        return EXIT_USAGE;
    }
    int status = check_token(path, &file, token, error, size);
    file_wipe(&file);
    return status;
}

/* In a time that tells nothing of how much was right. */
static bool is_token(const char *token, const char *authorization)
{
    size_t length = strlen(token);
    unsigned char differs = 0;

    if (strncasecmp(authorization, bearer, strlen(bearer)) != 0)
        return false;
    authorization += strlen(bearer);
    if (strlen(authorization) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        differs |= (unsigned char)(token[i] ^ authorization[i]);
    return differs == 0;
}

/* A server in front that speaks TLS has to hand on the name that the browser has used, a number or
 * localhost (serve_knows_host). */
static bool is_own_page(const struct http_request *request)
{
    const char *origin = request->origin;

    if (strncmp(origin, "http://", 7) == 0)
        origin += 7;
    else if (strncmp(origin, "https://", 8) == 0)
        origin += 8;
    else
        return false;
    return request->host[0] != '\0' && strcasecmp(origin, request->host) == 0;
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t length = strcspn(type, "; \t");

    return length == strlen(json) && strncasecmp(type, json, length) == 0;
}

/* ---- what is asked for ---- */

__attribute__((format(printf, 3, 4))) static int refuse(char *error, size_t size,
                                                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, size, format, args);
    va_end(args);
    return 400;
}

/* Copies a text that fits whole. Returns 0, or -1. */
static int take(char *to, size_t size, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) >= size)
        return -1;
    memcpy(to, json_string_value(value), json_string_length(value) + 1);
    return 0;
}

static int take_act(struct control_wish *wish, const json_t *value)
{
    static const enum ctl_command acts[] = {CTL_PAUSE, CTL_RESUME, CTL_STEP_DOWN};

    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (json_is_string(value) &&
            strcmp(json_string_value(value), ctl_command_word(acts[i])) == 0) {
            wish->command = acts[i];
            return 0;
        }
    return -1;
}

static int take_id(struct control_wish *wish, const json_t *value)
{
    if (take(wish->id, sizeof wish->id, value) != 0)
        return -1;
    for (const char *at = wish->id; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at))
            return -1;
    return 0;
}

static int take_span(struct control_wish *wish, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) <= 0 ||
        json_integer_value(value) > SPAN_MOST_MS)
        return -1;
    wish->span_ms = json_integer_value(value);
    return 0;
}

static int take_field(struct control_wish *wish, const char *name, const json_t *value)
{
    if (strcmp(name, "act") == 0)
        return take_act(wish, value);
    if (strcmp(name, "id") == 0)
        return take_id(wish, value);
    if (strcmp(name, "key") == 0)
        return take(wish->key, sizeof wish->key, value);
    if (strcmp(name, "for_ms") == 0)
        return take_span(wish, value);
    if (strcmp(name, wish->command == CTL_STEP_DOWN ? "to" : "reason") == 0)
        return take(wish->text, sizeof wish->text, value);
    return -1;
}

/* What its text may be depends on the act, and what may not be given with it. */
static int check_wish(struct control_wish *wish, const json_t *given, char *error, size_t size)
{
    const char *problem = store_check_key(wish->key);

    if (problem != NULL)
        return refuse(error, size, "that can be no lease key: %s", problem);
    if (wish->command == CTL_RESUME && json_object_size(given) > 3)
        return refuse(error, size, "resume takes a key, and nothing else");
    if (wish->command == CTL_STEP_DOWN && wish->text[0] != '\0') {
        problem = store_check_name(wish->text);
        if (problem != NULL)
            return refuse(error, size, "who is to lead next %s", problem);
    }
    if (wish->command == CTL_STEP_DOWN && wish->span_ms == 0)
        wish->span_ms = OPTIONS_STEP_DOWN_MS;
    if (wish->command == CTL_PAUSE && ctl_check_reason(wish->text, error, size) != 0)
        return refuse(error, size, "a reason has no control characters");
    return 0;
}

static int read_wish(struct control_wish *wish, const json_t *given, char *error, size_t size)
{
    const char *name;
    json_t *value;

    memset(wish, 0, sizeof *wish);
    if (take_act(wish, json_object_get(given, "act")) != 0)
        return refuse(error, size, "\"act\" is to be pause, resume or step-down");
    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        if (take_field(wish, name, value) != 0)
            return refuse(error, size, "\"%.20s\" is no field of this act, or not so",
                          is_plain(name) ? name : "?");
    }
    if (wish->id[0] == '\0')
        return refuse(error, size, "\"id\" is missing");
    return check_wish(wish, given, error, size);
}

int control_judge(const char *token, const struct http_request *request, struct control_wish *wish,
                  char *error, size_t size)
{
    if (!is_own_page(request)) {
        snprintf(error, size, "only this page may ask for that (Origin)");
        return 403;
    }
    if (!is_token(token, request->authorization)) {
        snprintf(error, size, "the token is missing, or another one (Authorization: Bearer)");
        return 401;
    }
    if (!is_json(request->content_type)) {
        snprintf(error, size, "an act is application/json (Content-Type)");
        return 415;
    }
    json_t *given = json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, NULL);
    int status = json_is_object(given) ? read_wish(wish, given, error, size)
                                       : refuse(error, size, "that is no JSON object");
    json_decref(given);
    return status;
}
