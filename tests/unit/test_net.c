#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/net.h"
#include "tests/unit/unit.h"

static int parse(const char *text, uint16_t port, bool allow_zero,
    struct net_host *h)
{
	char why[128];

	return net_host_parse(text, port, allow_zero, h, why, sizeof(why));
}

static void check_host(const char *text, const char *host, uint16_t port)
{
	struct net_host h;

	CU_ASSERT_EQUAL_FATAL(parse(text, 1352, false, &h), 0);
	CU_ASSERT_STRING_EQUAL(h.host, host);
	CU_ASSERT_EQUAL(h.port, port);
}

static void test_every_written_form_of_an_address_is_read(void)
{
	check_host("mail1", "mail1", 1352);
	check_host("mail1.acme.example:1353", "mail1.acme.example", 1353);
	check_host("10.0.0.1", "10.0.0.1", 1352);
	check_host("10.0.0.1:65535", "10.0.0.1", 65535);
	check_host("[::1]", "::1", 1352);
	check_host("[2001:db8::1]:80", "2001:db8::1", 80);
	check_host("7eleven_x:1", "7eleven_x", 1);
}

static void test_malformed_addresses_are_refused_with_a_reason(void)
{
	static const char *const bad[] = {
		"", ":1352", "mail1:", "mail1:0", "mail1:65536", "mail1:+1",
		"mail1: 1", "mail1:01", "mail1:1x", "mail1:99999999999999999999",
		"a b", "a/b", "user@host", ".mail1", "-mail1", "10.0.0.256",
		"1.2.3", "::1", "::1:1352", "a:b:1", "[::1", "[::1]1352",
		"[::1]:", "[mail1]:80", "[127.0.0.1]:80", "[]", "[]:80",
		"mail1\xc3\xa4"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct net_host h = { .port = 7 };
		char why[128] = "";

		CU_ASSERT_EQUAL(net_host_parse(bad[i], 1352, false, &h, why,
		    sizeof(why)), ERR_CONFIG);
		CU_ASSERT(why[0] != '\0');
		CU_ASSERT_EQUAL(h.port, 7);
	}
}

static void test_a_missing_port_is_an_error_without_a_default(void)
{
	struct net_host h;

	CU_ASSERT_EQUAL(parse("mail1", 0, false, &h), ERR_CONFIG);
	CU_ASSERT_EQUAL(parse("[::1]", 0, false, &h), ERR_CONFIG);
	CU_ASSERT_EQUAL(parse("mail1:80", 0, false, &h), 0);
}

static void test_port_zero_needs_permission(void)
{
	struct net_host h;

	CU_ASSERT_EQUAL(parse("127.0.0.1:0", 1352, true, &h), 0);
	CU_ASSERT_EQUAL(h.port, 0);
	CU_ASSERT_EQUAL(parse("127.0.0.1:0", 1352, false, &h), ERR_CONFIG);
}

static void test_a_host_may_have_255_bytes_and_no_more(void)
{
	char text[300];
	struct net_host h;

	memset(text, 'a', sizeof(text));
	text[255] = '\0';
	CU_ASSERT_EQUAL(parse(text, 1, false, &h), 0);
	CU_ASSERT_EQUAL(strlen(h.host), 255);
	memset(text, 'a', 256);
	text[256] = '\0';
	CU_ASSERT_EQUAL(parse(text, 1, false, &h), ERR_CONFIG);
}

static void test_literals_become_socket_addresses_and_names_do_not(void)
{
	struct net_host v4 = { .host = "127.0.0.2", .port = 1352 };
	struct net_host v6 = { .host = "::1", .port = 1353 };
	struct net_host name = { .host = "localhost", .port = 1 };
	struct sockaddr_storage ss;
	char text[NET_TEXT_MAX];

	CU_ASSERT_EQUAL_FATAL(net_host_literal(&v4, &ss), 0);
	CU_ASSERT_STRING_EQUAL(net_text((struct sockaddr *)&ss, text,
	    sizeof(text)), "127.0.0.2:1352");
	CU_ASSERT_EQUAL_FATAL(net_host_literal(&v6, &ss), 0);
	CU_ASSERT_STRING_EQUAL(net_text((struct sockaddr *)&ss, text,
	    sizeof(text)), "[::1]:1353");
	CU_ASSERT_EQUAL(net_host_literal(&name, &ss), ERR_NOENT);
}

static bool loopback(const char *host)
{
	struct net_host h = { .port = 1 };
	struct sockaddr_storage ss;

	snprintf(h.host, sizeof(h.host), "%s", host);
	CU_ASSERT_EQUAL_FATAL(net_host_literal(&h, &ss), 0);
	return net_is_loopback((struct sockaddr *)&ss);
}

static void test_only_loopback_addresses_count_as_loopback(void)
{
	CU_ASSERT_TRUE(loopback("127.0.0.1"));
	CU_ASSERT_TRUE(loopback("127.255.255.254"));
	CU_ASSERT_TRUE(loopback("::1"));
	CU_ASSERT_FALSE(loopback("126.0.0.1"));
	CU_ASSERT_FALSE(loopback("128.0.0.1"));
	CU_ASSERT_FALSE(loopback("0.0.0.0"));
	CU_ASSERT_FALSE(loopback("::"));
	CU_ASSERT_FALSE(loopback("::ffff:127.0.0.1"));
}

/* Is the descriptor non-blocking, and closed on exec? */
static void check_flags(int fd)
{
	CU_ASSERT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int listen_on(const char *host, uint16_t port, int *fd,
    struct sockaddr_storage *bound)
{
	struct net_host h = { .port = port };
	socklen_t len = sizeof(*bound);
	int rc;

	snprintf(h.host, sizeof(h.host), "%s", host);
	CU_ASSERT_EQUAL_FATAL(net_host_literal(&h, bound), 0);
	rc = net_listen_tcp((struct sockaddr *)bound, 16, fd);
	if (rc == 0)
		CU_ASSERT_EQUAL_FATAL(getsockname(*fd,
		    (struct sockaddr *)bound, &len), 0);
	return rc;
}

static void test_a_tcp_listener_takes_connections_on_the_kernels_port(void)
{
	struct sockaddr_storage ss;
	const struct sockaddr_in *sin = (void *)&ss;
	int fd = -1, c;

	CU_ASSERT_EQUAL_FATAL(listen_on("127.0.0.1", 0, &fd, &ss), 0);
	check_flags(fd);
	CU_ASSERT(ntohs(sin->sin_port) != 0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(connect(c, (struct sockaddr *)&ss, sizeof(*sin)), 0);
	close(c);
	close(fd);
}

static void test_a_taken_tcp_port_is_an_error_with_errno(void)
{
	struct sockaddr_storage ss, again;
	int fd = -1, other = -1;

	CU_ASSERT_EQUAL_FATAL(listen_on("127.0.0.1", 0, &fd, &ss), 0);
	CU_ASSERT_EQUAL(listen_on("127.0.0.1",
	    ntohs(((struct sockaddr_in *)&ss)->sin_port), &other, &again),
	    ERR_IO);
	CU_ASSERT_EQUAL(errno, EADDRINUSE);
	CU_ASSERT_EQUAL(other, -1);
	close(fd);
}

static char scratch[64];

static const char *socket_path(void)
{
	static char path[80];

	snprintf(scratch, sizeof(scratch), "/tmp/test_net.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(scratch));
	snprintf(path, sizeof(path), "%s/sock", scratch);
	return path;
}

static void remove_scratch(const char *path)
{
	unlink(path);
	rmdir(scratch);
}

static void test_a_unix_listener_has_the_mode_asked_for(void)
{
	const char *path = socket_path();
	char text[NET_TEXT_MAX], expect[NET_TEXT_MAX];
	struct sockaddr_un sun;
	socklen_t len = sizeof(sun);
	struct stat st;
	int fd = -1;

	CU_ASSERT_EQUAL_FATAL(net_listen_unix(path, 0660, 16, &fd), 0);
	check_flags(fd);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0660);
	memset(&sun, 0, sizeof(sun));
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sun, &len), 0);
	snprintf(expect, sizeof(expect), "unix:%s", path);
	CU_ASSERT_STRING_EQUAL(net_text((struct sockaddr *)&sun, text,
	    sizeof(text)), expect);
	close(fd);
	remove_scratch(path);
}

static void test_a_dead_socket_file_is_replaced_a_live_one_is_not(void)
{
	const char *path = socket_path();
	int fd = -1, other = -1;

	CU_ASSERT_EQUAL_FATAL(net_listen_unix(path, 0600, 16, &fd), 0);
	CU_ASSERT_EQUAL(net_listen_unix(path, 0600, 16, &other), ERR_EXIST);
	close(fd);
	CU_ASSERT_EQUAL(net_listen_unix(path, 0600, 16, &other), 0);
	close(other);
	remove_scratch(path);
}

static void test_a_file_that_is_no_socket_is_left_alone(void)
{
	const char *path = socket_path();
	struct stat st;
	int fd = open(path, O_CREAT | O_WRONLY, 0600), s = -1;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
	close(fd);
	CU_ASSERT_EQUAL(net_listen_unix(path, 0600, 16, &s), ERR_IO);
	CU_ASSERT_EQUAL(errno, ENOTSOCK);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 1);
	remove_scratch(path);
}

static void test_a_unix_path_that_does_not_fit_is_refused(void)
{
	char path[200];
	int fd = -1;

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(net_listen_unix(path, 0600, 16, &fd), ERR_IO);
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
	CU_ASSERT_EQUAL(net_listen_unix("", 0600, 16, &fd), ERR_IO);
	CU_ASSERT_EQUAL(fd, -1);
}

/*
 * Descriptor 3 may be anything, even make's job server: out of the way with it
 * while a test plays systemd.
 */
static int set_aside_fd3(void)
{
	int kept = fcntl(3, F_DUPFD_CLOEXEC, 100);

	close(3);
	return kept;
}

static void put_back_fd3(int kept)
{
	close(3);
	if (kept >= 0) {
		dup2(kept, 3);
		close(kept);
	}
}

static void set_env_number(const char *name, long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", n);
	setenv(name, text, 1);
}

static void test_sockets_for_another_process_are_not_taken(void)
{
	int first = -1, count = -1;

	set_env_number("LISTEN_PID", (long)getpid() + 1);
	set_env_number("LISTEN_FDS", 1);
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_PTR_NULL(getenv("LISTEN_PID"));
	CU_ASSERT_PTR_NULL(getenv("LISTEN_FDS"));
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
}

static void test_sockets_passed_by_systemd_are_taken_once(void)
{
	int first = -1, count = -1, kept = set_aside_fd3();
	int s = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_FATAL(dup2(s, 3) == 3);
	set_env_number("LISTEN_PID", (long)getpid());
	set_env_number("LISTEN_FDS", 1);
	setenv("LISTEN_FDNAMES", "http", 1);
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), 0);
	CU_ASSERT_EQUAL(first, 3);
	CU_ASSERT_EQUAL(count, 1);
	check_flags(3);
	CU_ASSERT_PTR_NULL(getenv("LISTEN_FDNAMES"));
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
	if (s != 3)
		close(s);
	put_back_fd3(kept);
}

static void test_nonsense_from_the_environment_is_harmless(void)
{
	int first = -1, count = -1, kept = set_aside_fd3();

	set_env_number("LISTEN_PID", (long)getpid());
	setenv("LISTEN_FDS", "many", 1);
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
	set_env_number("LISTEN_PID", (long)getpid());
	set_env_number("LISTEN_FDS", 65);
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), ERR_LIMIT);
	set_env_number("LISTEN_PID", (long)getpid());
	set_env_number("LISTEN_FDS", 1);
	CU_ASSERT_EQUAL(net_systemd_sockets(&first, &count), ERR_IO);
	put_back_fd3(kept);
}

static void test_libuv_statuses_become_our_errors(void)
{
	CU_ASSERT_EQUAL(err_from_uv(0), 0);
	CU_ASSERT_EQUAL(err_from_uv(UV_ECONNREFUSED), ERR_REFUSED);
	CU_ASSERT_EQUAL(err_from_uv(UV_ETIMEDOUT), ERR_TIMEOUT);
	CU_ASSERT_EQUAL(err_from_uv(UV_EHOSTUNREACH), ERR_UNREACH);
	CU_ASSERT_EQUAL(err_from_uv(UV_EAI_NONAME), ERR_UNREACH);
	CU_ASSERT_EQUAL(err_from_uv(UV_ECONNRESET), ERR_CLOSED);
	CU_ASSERT_EQUAL(err_from_uv(UV_EOF), ERR_CLOSED);
	CU_ASSERT_EQUAL(err_from_uv(UV_EINVAL), ERR_IO);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "every written form of an address is read",
		    test_every_written_form_of_an_address_is_read },
		{ "malformed addresses are refused with a reason",
		    test_malformed_addresses_are_refused_with_a_reason },
		{ "a missing port is an error without a default",
		    test_a_missing_port_is_an_error_without_a_default },
		{ "port zero needs permission",
		    test_port_zero_needs_permission },
		{ "a host may have 255 bytes and no more",
		    test_a_host_may_have_255_bytes_and_no_more },
		{ "literals become socket addresses and names do not",
		    test_literals_become_socket_addresses_and_names_do_not },
		{ "only loopback addresses count as loopback",
		    test_only_loopback_addresses_count_as_loopback },
		{ "a TCP listener takes connections on the kernel's port",
		    test_a_tcp_listener_takes_connections_on_the_kernels_port },
		{ "a taken TCP port is an error with errno",
		    test_a_taken_tcp_port_is_an_error_with_errno },
		{ "a unix listener has the mode asked for",
		    test_a_unix_listener_has_the_mode_asked_for },
		{ "a dead socket file is replaced, a live one is not",
		    test_a_dead_socket_file_is_replaced_a_live_one_is_not },
		{ "a file that is no socket is left alone",
		    test_a_file_that_is_no_socket_is_left_alone },
		{ "a unix path that does not fit is refused",
		    test_a_unix_path_that_does_not_fit_is_refused },
		{ "sockets for another process are not taken",
		    test_sockets_for_another_process_are_not_taken },
		{ "sockets passed by systemd are taken once",
		    test_sockets_passed_by_systemd_are_taken_once },
		{ "nonsense from the environment is harmless",
		    test_nonsense_from_the_environment_is_harmless },
		{ "libuv statuses become our errors",
		    test_libuv_statuses_become_our_errors },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
