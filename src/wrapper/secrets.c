/* Passwords on the command line. */
#include "secrets.h"

#include <string.h>

#include "leaderwrap/redis/url.h"

/* Where the value begins in a word such as "--redis=redis://...", "-uredis://..." or the value
 * alone. */
static char *find_value(char *word)
{
    char *equals = strchr(word, '=');

    if (word[0] != '-')
        return word;
    if (word[1] == '-')
        return equals != NULL ? equals + 1 : word;
    return word[1] == 'u' ? word + 2 : word;
}

void secrets_wipe_line(char **argv, char *const *command)
{
    for (char **word = argv + 1; *word != NULL && word != command; word++)
        redis_url_mask(find_value(*word));
}
