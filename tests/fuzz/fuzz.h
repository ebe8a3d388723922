/*
 * What the fuzz targets share: the check of an oracle, and a cursor over the input. Past its end
 * the input reads as zeros, so every input is a complete one.
 */
#ifndef LEADERWRAP_TEST_FUZZ_H
#define LEADERWRAP_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* abort(3) rather than exit: libFuzzer keeps the input and prints the stack. */
#define ORACLE(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "oracle: %s:%d: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* libFuzzer's entry (https://llvm.org/docs/LibFuzzer.html); always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t take_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static inline uint32_t take_short(struct input *input)
{
    uint32_t high = take_byte(input);

    return high << 8 | take_byte(input);
}

/* Takes up to `length` bytes; `*length` becomes how many there were. */
static inline const uint8_t *take_bytes(struct input *input, size_t *length)
{
    const uint8_t *bytes = input->at;

    if (*length > input->left)
        *length = input->left;
    input->at += *length;
    input->left -= *length;
    return bytes;
}

/* The input as a string, on the heap so that a read behind its end is seen. */
static inline char *input_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static inline bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return false;
    }
    return true;
}

/* Fills `bytes` with a packet of any content and of any length below `size`, which it returns; what
 * the input does not have is zeros. */
static inline size_t take_packet(struct input *input, unsigned char *bytes, size_t size)
{
    size_t length = take_byte(input) % size;
    size_t got = length;
    const uint8_t *raw = take_bytes(input, &got);

    memset(bytes, 0, size);
    if (got > 0)
        memcpy(bytes, raw, got);
    return length;
}

#endif
