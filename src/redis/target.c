/* What belongs to a target. */
#include "leaderwrap/redis/target.h"

#include <stdlib.h>

const char *redis_target_password_from(const struct redis_target *target)
{
    if (target->password_file != NULL)
        return target->password_file;
    return target->password_from != NULL ? target->password_from : "the URL";
}

void redis_target_clear(struct redis_target *target)
{
    redis_url_clear(&target->url);
    free(target->password_file);
    target->password_file = NULL;
}
