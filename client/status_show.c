#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "client/status.h"

#define ANSWER_MAX (16u << 20)	/* bytes; no status is as long */
#define WAIT_S 5

#define EXIT_NOT_RUNNING 1
#define EXIT_DOWN 3

static int connect_to(const char *path)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&address,
	    sizeof(address)) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* All there is until the end, NUL-terminated, or NULL with errno. */
static char *read_all(int fd)
{
	size_t len = 0, size = 65536;
	char *text = malloc(size + 1), *more;
	ssize_t n = 1;

	while (text != NULL && n > 0) {
		n = read(fd, text + len, size - len);
		if (n > 0)
			len += (size_t)n;
		if (len < size)
			continue;
		size *= 2;
		more = size <= ANSWER_MAX ? realloc(text, size + 1) : NULL;
		if (more == NULL)
			free(text);
		text = more;
	}
	if (text == NULL || n < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static const char *string_of(json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

static long long number_of(json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void print_since(long long ms)
{
	long long s = ms / 1000;

	if (s >= 86400)
		printf("%lld d %lld h", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		printf("%lld h %lld min", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		printf("%lld min %lld s", s / 60, s % 60);
	else
		printf("%lld s", s);
}

static void print_server(json_t *object)
{
	const char *server = string_of(object, "server");

	fputs(server[0] != '\0' ? server : "any server", stdout);
}

static void print_lists(json_t *root)
{
	json_t *streams = json_object_get(root, "streams");
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(root, "listeners"), i, item) {
		printf("listen    %s for ", string_of(item, "address"));
		print_server(item);
		putchar('\n');
	}
	printf("streams   %zu\n", json_array_size(streams));
	json_array_foreach(streams, i, item) {
		printf("  %-22s to ", string_of(item, "peer"));
		print_server(item);
		printf(", %lld bytes up, %lld down\n",
		    number_of(item, "bytes_in"), number_of(item, "bytes_out"));
	}
}

bool status_print(const char *text, bool *up)
{
	json_t *root = json_loads(text, 0, NULL);
	json_t *exchanges = json_object_get(root, "exchanges");
	json_t *noticed = json_object_get(root, "noticed");
	const char *state = string_of(root, "state");
	const char *last = string_of(noticed, "last");

	if (!json_is_object(root) || state[0] == '\0') {
		json_decref(root);
		return false;
	}
	*up = strcmp(state, "up") == 0;
	printf("tunnel    %s for ", state);
	print_since(number_of(root, "since_ms"));
	printf(" (%s)\n", string_of(root, "reason"));
	printf("gateway   %s", string_of(root, "gateway"));
	if (*up)
		printf(" by %s, round trip %lld ms", string_of(root, "http"),
		    number_of(root, "rtt_ms"));
	printf("\nsession   %s\n", string_of(root, "session"));
	printf("exchanges %lld, %lld failed, %lld questions without one\n",
	    number_of(exchanges, "total"), number_of(exchanges, "failed"),
	    number_of(exchanges, "streamed"));
	if (last[0] != '\0') {
		printf("noticed   %s, ", last);
		print_since(number_of(noticed, "last_ms"));
		printf(" ago\n");
	}
	print_lists(root);
	printf("version   %s, process %lld\n", string_of(root, "version"),
	    number_of(root, "pid"));
	json_decref(root);
	return true;
}

int status_show(const char *path, bool json)
{
	int fd = connect_to(path);
	char *text = fd >= 0 ? read_all(fd) : NULL;
	bool up = false, good;

	if (fd >= 0)
		close(fd);
	if (text == NULL) {
		fprintf(stderr, "nrpc-tunnel: no tunnel answers at %s: %s; is "
		    "`nrpc-tunnel run` running, with this status socket?\n",
		    path, strerror(errno));
		return EXIT_NOT_RUNNING;
	}
	if (json) {
		json_t *root = json_loads(text, 0, NULL);

		up = strcmp(string_of(root, "state"), "up") == 0;
		good = json_is_object(root);
		json_decref(root);
		if (good)
			puts(text);
	} else {
		good = status_print(text, &up);
	}
	free(text);
	if (!good) {
		fprintf(stderr, "nrpc-tunnel: what answers at %s is no "
		    "tunnel\n", path);
		return EXIT_NOT_RUNNING;
	}
	return up ? EXIT_SUCCESS : EXIT_DOWN;
}
