/* Questions, and who lets them go. */
#include "question.h"

#include <stdlib.h>

void *question_new(size_t size, struct connection *connection, void *context)
{
    struct question *question = calloc(1, size);

    if (question == NULL)
        return NULL;
    question->connection = connection;
    question->context = context;
    return question;
}

int question_send(struct question *question, const struct question_part parts[2])
{
    struct connection *connection = question->connection;
    int error = 0;

    for (int i = 0; i < 2 && error == 0; i++) {
        int argc = 0;

        while (argc < QUESTION_WORDS_MAX && parts[i].words[argc] != NULL)
            argc++;
        question->awaited++;
        error =
            connection_send(connection, argc, parts[i].words, NULL, parts[i].on_reply, question);
        /* Of the second one: the answer to the first lets it go. */
        if (error != 0)
            question_heard(question);
    }
    return error;
}

void question_heard(struct question *question)
{
    if (--question->awaited == 0)
        free(question);
}

/* It goes away before its function, for the connection may go in that. */
void question_end(struct master_question *question, const struct witness_answer *answer)
{
    struct witness_answer kept = *answer;
    witness_answer_fn *answered = question->answered;
    void *context = question->question.context;

    question_heard(&question->question);
    answered(context, &kept);
}

void question_end_peers(struct peers_question *question, bool told)
{
    struct peers_question kept = *question;

    question_heard(&question->question);
    kept.told(kept.question.context, told ? &kept.peers : NULL);
}
