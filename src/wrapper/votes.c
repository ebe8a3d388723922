/* Votes, counted. */
#include "votes.h"

#include <stdio.h>
#include <string.h>

void votes_count(struct votes *votes, const struct lease_vote *vote)
{
    if (vote->electorate > votes->electorate)
        votes->electorate = vote->electorate;
    if (vote->witness >= VOTES_WITNESSES_MAX || votes->voted[vote->witness])
        return;
    votes->voted[vote->witness] = true;
    if (vote->placement == 0)
        votes->none++;
    else if (vote->here)
        votes->here++;
    else
        votes->elsewhere++;
}

static unsigned answered(const struct votes *votes)
{
    return votes->here + votes->elsewhere + votes->none;
}

bool votes_are_all(const struct votes *votes)
{
    return votes->electorate > 0 && answered(votes) >= votes->electorate;
}

bool votes_are_a_majority(const struct votes *votes)
{
    return votes->here > votes->electorate / 2;
}

static void add(char *buffer, size_t size, unsigned count, const char *one, const char *many)
{
    size_t used = strlen(buffer);

    if (count > 0)
        snprintf(buffer + used, size - used, ", %u %s", count, count == 1 ? one : many);
}

char *votes_show(const struct votes *votes, char *buffer, size_t size)
{
    unsigned heard = answered(votes);

    if (votes->electorate == 0) {
        snprintf(buffer, size, "none answers");
        return buffer;
    }
    snprintf(buffer, size, "%u of %u %s it as the master", votes->here, votes->electorate,
             votes->here == 1 ? "names" : "name");
    add(buffer, size, votes->elsewhere, "names another", "name others");
    add(buffer, size, votes->none, "knows none", "know none");
    add(buffer, size, votes->electorate > heard ? votes->electorate - heard : 0, "does not answer",
        "do not answer");
    return buffer;
}
