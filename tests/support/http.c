#include "config.h"

#include "tests/support/http.h"

#include <string.h>
#include <strings.h>

#define NUMBER_MAX (UINT64_MAX >> 8)

enum chunk_state {
	CHUNK_SIZE,		/* digits, extension, end of line */
	CHUNK_EXTENSION,
	CHUNK_DATA,
	CHUNK_DATA_END,		/* the end of line behind the data */
	CHUNK_TRAILER,		/* at the beginning of a line */
	CHUNK_TRAILER_LINE	/* within one */
};

ssize_t http_head_len(const uint8_t *data, size_t len)
{
	size_t most = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;

	for (size_t i = 3; i < most; i++)
		if (data[i] == '\n' && memcmp(data + i - 3, "\r\n\r", 3) == 0)
			return (ssize_t)(i + 1);
	return len < HTTP_HEAD_MAX ? 0 : -1;
}

bool http_line(const char *head, size_t head_len, size_t *at,
    const char **line, size_t *len)
{
	const char *end;

	if (*at >= head_len)
		return false;
	*line = head + *at;
	end = memchr(*line, '\n', head_len - *at);
	if (end == NULL)
		return false;
	*len = (size_t)(end - *line);
	*at += *len + 1;
	if (*len > 0 && (*line)[*len - 1] == '\r')
		(*len)--;
	return *len > 0;	/* the empty line is the last */
}

const char *http_value(const char *line, size_t len, const char *name,
    size_t *value_len)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	n++;
	while (n < len && (line[n] == ' ' || line[n] == '\t'))
		n++;
	*value_len = len - n;
	return line + n;
}

const char *http_find(const char *head, size_t head_len, const char *name,
    size_t *value_len)
{
	size_t at = 0, len;
	const char *line, *value;

	while (http_line(head, head_len, &at, &line, &len)) {
		value = http_value(line, len, name, value_len);
		if (value != NULL)
			return value;
	}
	return NULL;
}

bool http_has_word(const char *head, size_t head_len, const char *name,
    const char *word)
{
	size_t at = 0, len, n = strlen(word), value_len;
	const char *line, *value;

	while (http_line(head, head_len, &at, &line, &len)) {
		value = http_value(line, len, name, &value_len);
		if (value == NULL)
			continue;
		for (size_t i = 0; i + n <= value_len; i++)
			if (strncasecmp(value + i, word, n) == 0)
				return true;
	}
	return false;
}

unsigned http_status(const char *head, size_t head_len)
{
	unsigned status = 0;

	if (head_len < 12 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ')
		return 0;
	for (int i = 9; i < 12; i++) {
		if (head[i] < '0' || head[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(head[i] - '0');
	}
	return status;
}

/* ---- bodies ----------------------------------------------------------- */

static int read_length(const char *text, size_t len, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || n > NUMBER_MAX / 10)
			return -1;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	*out = n;
	return len > 0 ? 0 : -1;
}

int http_body_begin(struct http_body *b, const char *head, size_t head_len,
    bool response)
{
	const char *text;
	size_t len;

	memset(b, 0, sizeof(*b));
	if (http_has_word(head, head_len, "Transfer-Encoding", "chunked")) {
		b->framing = HTTP_CHUNKED;
		return 0;
	}
	text = http_find(head, head_len, "Content-Length", &len);
	if (text == NULL && response) {
		b->framing = HTTP_UNTIL_END;
		return 0;
	}
	if (text != NULL && read_length(text, len, &b->left) != 0)
		return -1;
	b->over = b->left == 0;
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of a chunk's size and what stands behind it. */
static int take_size_byte(struct http_body *b, uint8_t c)
{
	int digit = hex_digit(c);

	if (c == '\n')
		b->state = b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	else if (b->state == CHUNK_SIZE && digit >= 0)
		b->left = b->left * 16 + (uint64_t)digit;
	else
		b->state = CHUNK_EXTENSION;
	return b->left > NUMBER_MAX ? -1 : 0;
}

/* One byte that is no content. */
static int take_coding_byte(struct http_body *b, uint8_t c)
{
	switch ((enum chunk_state)b->state) {
	case CHUNK_SIZE:
	case CHUNK_EXTENSION:
		return take_size_byte(b, c);
	case CHUNK_DATA_END:
		if (c == '\n')
			b->state = CHUNK_SIZE;
		return c == '\n' || c == '\r' ? 0 : -1;
	case CHUNK_TRAILER:
		if (c == '\n')
			b->over = true;
		else if (c != '\r')
			b->state = CHUNK_TRAILER_LINE;
		return 0;
	case CHUNK_TRAILER_LINE:
		if (c == '\n')
			b->state = CHUNK_TRAILER;
		return 0;
	case CHUNK_DATA:
		break;
	}
	return -1;
}

ssize_t http_body_take(struct http_body *b, const uint8_t *data, size_t len,
    const uint8_t **piece, size_t *piece_len)
{
	size_t used = 0, n;

	*piece = data;
	*piece_len = 0;
	while (b->framing == HTTP_CHUNKED && b->state != CHUNK_DATA &&
	    used < len && !b->over)
		if (take_coding_byte(b, data[used++]) != 0)
			return -1;
	n = len - used;
	if (b->framing != HTTP_UNTIL_END && n > b->left)
		n = (size_t)b->left;
	if (b->over || n == 0)
		return (ssize_t)used;
	*piece = data + used;
	*piece_len = n;
	if (b->framing == HTTP_UNTIL_END)
		return (ssize_t)(used + n);
	b->left -= n;
	if (b->left == 0 && b->framing == HTTP_CHUNKED)
		b->state = CHUNK_DATA_END;
	else if (b->left == 0)
		b->over = true;
	return (ssize_t)(used + n);
}
