/*
 * Splitting an address: uri_split, against uriparser.
 *
 * Oracle: behind a scheme, what has no fragment and no "IPvFuture" for a host is accepted by both
 * or by neither, and has the same parts.
 */
#include "fuzz.h"

#include <uriparser/Uri.h>

#include "redis/uri.h"

#define SCHEME "redis://"

static bool is_same(struct uri_part part, const UriTextRangeA *theirs)
{
    size_t length = theirs->first == NULL ? 0 : (size_t)(theirs->afterLast - theirs->first);

    return (size_t)(part.after - part.first) == length &&
           (length == 0 || memcmp(part.first, theirs->first, length) == 0);
}

/* They take it apart at each slash. */
static void check_path(struct uri_part path, const UriPathSegmentA *segment)
{
    const char *at = path.first;

    for (; segment != NULL; segment = segment->next) {
        size_t length = (size_t)(segment->text.afterLast - segment->text.first);

        ORACLE(at < path.after && *at == '/');
        at++;
        ORACLE((size_t)(path.after - at) >= length);
        ORACLE(memcmp(at, segment->text.first, length) == 0);
        at += length;
    }
    ORACLE(at == path.after || (path.after - path.first == 1 && *at == '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(sizeof SCHEME + size);
    struct uri mine;
    UriUriA theirs;

    if (text == NULL)
        abort();
    memcpy(text, SCHEME, sizeof SCHEME - 1);
    memcpy(text + sizeof SCHEME - 1, data, size);
    text[sizeof SCHEME - 1 + size] = '\0';
    bool is_mine = uri_split(text, &mine);
    if (uriParseSingleUriA(&theirs, text, NULL) == URI_SUCCESS) {
        bool is_ours = theirs.fragment.first == NULL && theirs.hostData.ipFuture.first == NULL;
        ORACLE(is_mine == is_ours);
        if (is_mine) {
            ORACLE(is_same(mine.scheme, &theirs.scheme));
            ORACLE(is_same(mine.user_info, &theirs.userInfo));
            ORACLE(is_same(mine.host, &theirs.hostText));
            ORACLE(is_same(mine.port, &theirs.portText));
            ORACLE(is_same(mine.query, &theirs.query));
            check_path(mine.path, theirs.pathHead);
        }
        uriFreeUriMembersA(&theirs);
    } else {
        ORACLE(!is_mine);
    }
    free(text);
    return 0;
}
