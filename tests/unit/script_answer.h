/*
 * What the scripts answer, as bytes on the wire (src/redis/scripts/prelude.lua): the lease of
 * somebody with the token 7.
 */
#ifndef LEADERWRAP_TEST_SCRIPT_ANSWER_H
#define LEADERWRAP_TEST_SCRIPT_ANSWER_H

/* `length` is that of `verdict`, whose record is then in the state `state`, of four letters;
 * `before` is the whole string of what a grant has ended. */
#define SCRIPT_ANSWER(length, verdict, state, before)                                              \
    "*16\r\n$" length "\r\n" verdict "\r\n$4\r\n" state "\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n7\r\n"      \
    "$1\r\nv\r\n$1\r\ni\r\n$4\r\n1000\r\n$1\r\n0\r\n$1\r\n0\r\n$0\r\n\r\n$0\r\n\r\n" before        \
    "$0\r\n\r\n$1\r\n0\r\n$0\r\n\r\n"

#define SCRIPT_GRANTED  SCRIPT_ANSWER("7", "GRANTED", "held", "$4\r\nfree\r\n")
#define SCRIPT_REFUSED  SCRIPT_ANSWER("7", "REFUSED", "held", "$0\r\n\r\n")
#define SCRIPT_RENEWED  SCRIPT_ANSWER("7", "RENEWED", "held", "$0\r\n\r\n")
#define SCRIPT_LOST     SCRIPT_ANSWER("4", "LOST", "held", "$0\r\n\r\n")
#define SCRIPT_RELEASED SCRIPT_ANSWER("8", "RELEASED", "free", "$0\r\n\r\n")

#endif
