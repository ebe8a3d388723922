/* The placements that were met last. */
#include "placements.h"

uint64_t placements_number(struct placements *placements, const struct place *place, uint64_t epoch)
{
    size_t oldest = 0;
    size_t at = 0;

    for (; at < PLACEMENTS_KEPT; at++) {
        if (placements->list[at].number != 0 && placements->list[at].epoch == epoch &&
            place_is_same(&placements->list[at].place, place))
            break;
        if (placements->list[at].used < placements->list[oldest].used)
            oldest = at;
    }
    if (at == PLACEMENTS_KEPT) {
        at = oldest;
        placements->list[at].number = ++placements->last;
        placements->list[at].place = *place;
        placements->list[at].epoch = epoch;
    }
    placements->list[at].used = ++placements->uses;
    return placements->list[at].number;
}
