/* Texts that are too long, or no UTF-8, are left out rather than cut in the middle. */
#include "about.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static char *dump(json_t *about)
{
    char *text = json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII);

    if (text != NULL && strlen(text) > ABOUT_MOST) {
        free(text);
        json_object_del(about, "command");
        text = json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII);
    }
    return text;
}

char *about_make(const char *host, const char *command, int64_t retry_ms, int64_t since_ms)
{
    json_t *about =
        json_pack("{sI ss sI sI}", "pid", (json_int_t)getpid(), "version", LEADERWRAP_VERSION,
                  "retry_ms", (json_int_t)retry_ms, "since_ms", (json_int_t)since_ms);

    if (about == NULL)
        return NULL;
    /* These do nothing where the text is no UTF-8. */
    (void)json_object_set_new(about, "host", json_string(host));
    if (command != NULL)
        (void)json_object_set_new(about, "command", json_string(base_name(command)));
    char *text = dump(about);
    json_decref(about);
    return text;
}
