/* What goes from one gateway to the next: messages, descriptors, sockets. */
#include "config.h"

#include "server/handover.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/state.h"
#include "server/fds.h"
#include "server/listen.h"
#include "tests/unit/unit.h"

#define WAIT_MS 2000u
#define MANY 600u		/* more than fit into two messages */

static int mine, theirs;

static void setup(void)
{
	CU_ASSERT_EQUAL_FATAL(handover_pair(&mine, &theirs), 0);
}

static void teardown(void)
{
	close(mine);
	if (theirs >= 0)
		close(theirs);
}

static void test_a_message_arrives(void)
{
	struct handover_message m, hello = handover_text(HANDOVER_HELLO,
	    "1.2.3");

	setup();
	hello.a = 1;
	hello.b = UINT64_MAX;
	CU_ASSERT_EQUAL(handover_send(mine, &hello, -1, WAIT_MS), 0);
	CU_ASSERT_EQUAL(handover_receive(theirs, &m, NULL, WAIT_MS), 0);
	CU_ASSERT_EQUAL(m.type, HANDOVER_HELLO);
	CU_ASSERT_TRUE(m.a == 1 && m.b == UINT64_MAX);
	CU_ASSERT_STRING_EQUAL(m.text, "1.2.3");
	teardown();
}

static void test_silence_and_an_end_are_told_apart(void)
{
	struct handover_message m = { .type = HANDOVER_GO };

	setup();
	CU_ASSERT_EQUAL(handover_receive(mine, &m, NULL, 10), ERR_TIMEOUT);
	close(theirs);
	theirs = -1;
	CU_ASSERT_EQUAL(handover_receive(mine, &m, NULL, WAIT_MS),
	    ERR_CLOSED);
	CU_ASSERT_EQUAL(handover_send(mine, &m, -1, WAIT_MS), ERR_CLOSED);
	teardown();
}

static void test_one_that_does_not_read_stops_nobody(void)
{
	struct handover_message m = { .type = HANDOVER_GO };
	int rc;

	setup();
	do
		rc = handover_send(mine, &m, -1, 10);
	while (rc == 0);
	CU_ASSERT_EQUAL(rc, ERR_TIMEOUT);
	teardown();
}

static void test_nonsense_is_refused(void)
{
	uint8_t data[17 + HANDOVER_TEXT_MAX] = { 0 };
	struct handover_message m;

	setup();
	CU_ASSERT_EQUAL(send(mine, data, 17, 0), 17);	/* no such type */
	CU_ASSERT_EQUAL(handover_receive(theirs, &m, NULL, WAIT_MS),
	    ERR_PROTO);
	data[0] = HANDOVER_GO;
	CU_ASSERT_EQUAL(send(mine, data, 16, 0), 16);	/* too short */
	CU_ASSERT_EQUAL(handover_receive(theirs, &m, NULL, WAIT_MS),
	    ERR_PROTO);
	CU_ASSERT_EQUAL(send(mine, data, sizeof(data), 0), sizeof(data));
	CU_ASSERT_EQUAL(handover_receive(theirs, &m, NULL, WAIT_MS),
	    ERR_PROTO);
	teardown();
}

/* Are they the same open file? Its offset, which is shared, tells. */
static bool is_same(int a, int b, off_t mark)
{
	return lseek(a, mark, SEEK_SET) == mark &&
	    lseek(b, 0, SEEK_CUR) == mark;
}

static void test_many_descriptors_arrive_in_order(void)
{
	struct fds out = { 0 }, in = { 0 };
	struct handover_message m;
	struct rlimit files;

	setup();
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (unsigned i = 0; i < MANY; i++) {
		char name[] = "/tmp/nrpc-handover-XXXXXX";

		CU_ASSERT_EQUAL(fds_add(&out, mkstemp(name)), i);
		unlink(name);
	}
	CU_ASSERT_EQUAL(handover_send_fds(mine, &out, WAIT_MS), 0);
	while (in.count < MANY &&
	    handover_receive(theirs, &m, &in, WAIT_MS) == 0)
		CU_ASSERT_EQUAL(m.type, HANDOVER_FDS);
	CU_ASSERT_EQUAL_FATAL(in.count, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		CU_ASSERT_TRUE(is_same(out.list[i], in.list[i],
		    (off_t)i + 1));
		CU_ASSERT_TRUE(fcntl(in.list[i], F_GETFD) & FD_CLOEXEC);
	}
	fds_fini(&in, true);
	fds_fini(&out, true);
	teardown();
}

static void test_a_descriptor_is_taken_once(void)
{
	struct fds f = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL(fds_add(&f, fd), 0);
	CU_ASSERT_EQUAL(fds_take(&f, 1), -1);
	CU_ASSERT_EQUAL(fds_take(&f, 0), fd);
	CU_ASSERT_EQUAL(fds_take(&f, 0), -1);
	fds_fini(&f, true);
	CU_ASSERT_EQUAL(close(fd), 0);	/* it was nobody else's to close */
}

/* ---- listening sockets ------------------------------------------------- */

static struct buf state;

static int sink(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	return buf_append(&state, data, len);
}

static struct settings *parse(const char *listens)
{
	char text[600], why[CONF_WHY_MAX];
	struct settings *s = NULL;

	snprintf(text, sizeof(text), "[gateway]\n%s\n[server CN=A/O=B]\n"
	    "address = 127.0.0.1\n", listens);
	CU_ASSERT_EQUAL_FATAL(settings_parse(&s, "test", text, strlen(text),
	    why), 0);
	return s;
}

/* As they come out at the other end. */
static void pass(const struct listen_socket *list, size_t count,
    struct listen_given *given, struct fds *fds)
{
	char why[STATE_WHY_MAX];
	struct state_out o;
	struct state_in in, body;
	enum state_type type;

	buf_fini(&state);
	buf_init(&state, 65536);
	state_begin(&o, sink, NULL, 0);
	listen_export(list, count, &o, fds);
	CU_ASSERT_EQUAL(state_finish(&o), 0);
	CU_ASSERT_EQUAL_FATAL(state_open(&in, buf_data(&state),
	    buf_len(&state), 0, why), 0);
	while (state_next(&in, &type, &body))
		CU_ASSERT_EQUAL(listen_import(given, &body, fds), 0);
	buf_fini(&state);
}

static void test_sockets_that_fit_are_used_again(void)
{
	char dir[] = "/tmp/nrpc-listen-XXXXXX", text[500], path[100];
	char why[LISTEN_WHY_MAX];
	struct listen_given given = { NULL, 0 };
	struct listen_socket *old, *fresh;
	struct settings *first, *second;
	struct fds fds = { 0 };
	size_t old_count, count;
	int tcp, gone;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(text, sizeof(text), "listen = 127.0.0.1:0\n"
	    "listen = unix:%s\nlisten = [::1]:0", path);
	first = parse(text);
	CU_ASSERT_EQUAL_FATAL(listen_open(first, NULL, &old, &old_count, why),
	    0);
	tcp = old[0].fd;
	gone = old[2].fd;
	pass(old, old_count, &given, &fds);
	/* The one of IPv6 is not wanted any more, and another one is. */
	snprintf(text, sizeof(text), "listen = unix:%s\nlisten = %s\n"
	    "listen = 127.0.0.2:0", path, old[0].address);
	second = parse(text);
	CU_ASSERT_EQUAL_FATAL(listen_open(second, &given, &fresh, &count,
	    why), 0);
	CU_ASSERT_EQUAL_FATAL(count, 3);
	CU_ASSERT_EQUAL(fresh[0].fd, old[1].fd);
	CU_ASSERT_STRING_EQUAL(fresh[0].unlink_path, path);
	CU_ASSERT_EQUAL(fresh[1].fd, tcp);
	CU_ASSERT_TRUE(fresh[2].fd != gone && fresh[2].is_tcp);
	CU_ASSERT_EQUAL(fcntl(gone, F_GETFD), FD_CLOEXEC);
	listen_drop(&given);
	CU_ASSERT_EQUAL(fcntl(gone, F_GETFD), -1);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	listen_free(fresh, count, true);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	listen_free(old, old_count, false);
	fds_fini(&fds, false);
	settings_free(first);
	settings_free(second);
	rmdir(dir);
}

static void test_a_socket_without_descriptor_is_refused(void)
{
	static const uint8_t body[] = { 3, 0, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct state_in in = { .in = { body, sizeof(body) } };
	struct listen_given given = { NULL, 0 };
	struct fds fds = { 0 };

	CU_ASSERT_EQUAL(listen_import(&given, &in, &fds), ERR_PROTO);
	CU_ASSERT_EQUAL(given.count, 0);
}

static const struct unit_test tests[] = {
	{ "a message arrives", test_a_message_arrives },
	{ "silence and an end are told apart",
	    test_silence_and_an_end_are_told_apart },
	{ "one that does not read stops nobody",
	    test_one_that_does_not_read_stops_nobody },
	{ "nonsense is refused", test_nonsense_is_refused },
	{ "many descriptors arrive in order",
	    test_many_descriptors_arrive_in_order },
	{ "a descriptor is taken once", test_a_descriptor_is_taken_once },
	{ "sockets that fit are used again",
	    test_sockets_that_fit_are_used_again },
	{ "a socket without descriptor is refused",
	    test_a_socket_without_descriptor_is_refused },
	{ NULL, NULL },
};

int main(void)
{
	return unit_main(tests);
}
