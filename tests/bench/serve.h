/* The bench's server: answers requests of talk.h until its input ends. */
#ifndef TESTS_BENCH_SERVE_H
#define TESTS_BENCH_SERVE_H

/* Listens on "ADDRESS:PORT" and says so; returns the exit status. */
int serve(const char *address);

#endif
