/*
 * Numbers and words as the scripts write them.
 */
#include "words.h"

#include <string.h>

int number_parse(const char *text, size_t length, int64_t max, int64_t *value)
{
    int64_t result = 0;

    if (length == 0)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int digit = text[i] - '0';

        if (digit < 0 || digit > 9 || result > (max - digit) / 10)
            return -1;
        result = result * 10 + digit;
    }
    *value = result;
    return 0;
}

int state_parse(const char *text, size_t length, enum lease_state *state)
{
    static const char *const words[] = {
        [LEASE_ABSENT] = "",     [LEASE_FREE] = "free",     [LEASE_HELD] = "held",
        [LEASE_CLOSED] = "hold", [LEASE_VACANT] = "vacant",
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0) {
            *state = (enum lease_state)i;
            return 0;
        }
    }
    return -1;
}
