/* Texts that are too long, or no UTF-8, are left out rather than cut in the middle. */
#include "about.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* What can be spared goes where there is no room. */
static char *dump(json_t *about)
{
    json_t *const spare_of[] = {about, json_object_get(about, "pause_lost"), about};
    static const char *const spare[] = {"command", "reason", "host"};
    char *text = json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII);

    for (size_t i = 0; i < 3 && text != NULL && strlen(text) > ABOUT_MOST; i++) {
        free(text);
        /* This does nothing to what is not there. */
        (void)json_object_del(spare_of[i], spare[i]);
        text = json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII);
    }
    return text;
}

/* What is no UTF-8 is left out: json_object_set_new does nothing then. */
static void add_text(json_t *object, const char *name, const char *text)
{
    (void)json_object_set_new(object, name, json_string(text));
}

static void add_pause(json_t *about, const struct pause *pause)
{
    json_t *lost = json_pack("{sI}", "at_ms", (json_int_t)pause->lost_ms);

    if (pause->over_ms != 0)
        (void)json_object_set_new(lost, "over_ms", json_integer(pause->over_ms));
    add_text(lost, "by", pause->wish.by);
    add_text(lost, "reason", pause->wish.text);
    (void)json_object_set_new(about, "pause_lost", lost);
}

char *about_make(const struct about *about, const struct pause *pause)
{
    json_t *json =
        json_pack("{sI ss sI sI}", "pid", (json_int_t)getpid(), "version", LEADERWRAP_VERSION,
                  "retry_ms", (json_int_t)about->retry_ms, "since_ms", (json_int_t)about->since_ms);

    if (json == NULL)
        return NULL;
    add_text(json, "host", about->host);
    if (about->command != NULL)
        add_text(json, "command", base_name(about->command));
    if (pause->lost)
        add_pause(json, pause);
    char *text = dump(json);
    json_decref(json);
    return text;
}

char *about_client(const char *name)
{
    char *client;

    if (asprintf(&client, "leaderwrap:%s", name) < 0)
        return NULL;
    for (char *at = client; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            *at = '_';
    return client;
}
