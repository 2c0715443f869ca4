/*
 * As much of HTTP/1.1 as a proxy needs: where a head ends, what its lines
 * say, and where the body behind it ends. Knows of no socket and keeps
 * nothing of what it is shown.
 */
#ifndef TESTS_SUPPORT_HTTP_H
#define TESTS_SUPPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_HEAD_MAX 16384u	/* bytes of a head */

/*
 * Bytes of the head at the beginning of data, with the empty line; 0 when more
 * has to come, -1 when it is longer than HTTP_HEAD_MAX.
 */
ssize_t http_head_len(const uint8_t *data, size_t len);

/*
 * The next line of a head, without its end; *at begins with 0. The first one
 * is the request or status line. False behind the last.
 */
bool http_line(const char *head, size_t head_len, size_t *at,
    const char **line, size_t *len);

/* The value of a line "name: value", NULL for another line. */
const char *http_value(const char *line, size_t len, const char *name,
    size_t *value_len);

/* The value of the first line of this name; NULL if there is none. */
const char *http_find(const char *head, size_t head_len, const char *name,
    size_t *value_len);

/* Is this word in the list that the lines of this name make? */
bool http_has_word(const char *head, size_t head_len, const char *name,
    const char *word);

/* The status of a response; 0 if it is none. */
unsigned http_status(const char *head, size_t head_len);

enum http_framing {
	HTTP_LENGTH,		/* Content-Length, or no body: 0 */
	HTTP_CHUNKED,
	HTTP_UNTIL_END		/* of the connection */
};

struct http_body {
	enum http_framing framing;
	uint64_t left;		/* of the body, or of the chunk */
	unsigned state;		/* within chunked coding */
	bool over;
};

/* The body behind this head. 0, or -1 when the head is malformed. */
int http_body_begin(struct http_body *b, const char *head, size_t head_len,
    bool response);

/*
 * Take bytes of the body off data: *piece is what of them is content, and may
 * be empty. Returns how many bytes were taken, -1 when they are malformed.
 * Call until b->over or nothing is left.
 */
ssize_t http_body_take(struct http_body *b, const uint8_t *data, size_t len,
    const uint8_t **piece, size_t *piece_len);

#endif
