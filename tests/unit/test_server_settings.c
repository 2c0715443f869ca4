#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/net.h"
#include "server/settings.h"
#include "tests/unit/unit.h"

#define SERVER "[server CN=Mail1/O=Acme]\naddress = 10.0.0.1\n"

static char why[CONF_WHY_MAX];

static struct settings *parse(const char *text)
{
	struct settings *s = NULL;
	int rc = settings_parse(&s, "gw.conf", text, strlen(text), why);

	CU_ASSERT_EQUAL_FATAL(rc, 0);
	return s;
}

/* The text is refused with a complaint that holds both phrases. */
static void refuse(const char *text, const char *a, const char *b)
{
	struct settings *s = NULL;
	int rc = settings_parse(&s, "gw.conf", text, strlen(text), why);

	CU_ASSERT_EQUAL(rc, ERR_CONFIG);
	CU_ASSERT_PTR_NULL(s);
	if (strstr(why, a) == NULL || strstr(why, b) == NULL) {
		printf("# complaint: %s\n", why);
		CU_FAIL("the complaint does not say it");
	}
}

static void test_defaults_are_safe(void)
{
	struct settings *s = parse("");
	char text[NET_TEXT_MAX];

	CU_ASSERT_EQUAL_FATAL(s->listen_count, 1);
	CU_ASSERT_STRING_EQUAL(net_text((const struct sockaddr *)
	    &s->listens[0].address, text, sizeof(text)), "127.0.0.1:8352");
	CU_ASSERT_STRING_EQUAL(s->path, "/nrpc");
	CU_ASSERT_EQUAL(s->unix_mode, 0660);
	CU_ASSERT_PTR_NULL(s->user);
	CU_ASSERT_PTR_NULL(s->tls_key);
	CU_ASSERT_PTR_NULL(s->default_server);
	CU_ASSERT_EQUAL(s->first_bytes_ms, 60000);
	CU_ASSERT_EQUAL(s->drain_ms, 10000);
	CU_ASSERT_EQUAL(s->upgrade_ms, 10000);
	CU_ASSERT_EQUAL(servers_count(s->servers), 0);
	settings_free(s);
}

static void test_everything_can_be_set(void)
{
	struct settings *s = parse("[gateway]\n"
	    "listen = [::1]:0\n"
	    "listen = unix:/run/x.sock\n"
	    "listen = systemd\n"
	    "unix_mode = 0600\n"
	    "path = /a/b/\n"
	    "default_server = cn=mail1/o=acme\n"
	    "tls_certificate = c\ntls_key = k\n"
	    "user = nobody\nlog_level = debug\n"
	    "linger = 20min\nhold_max = 10s\nfirst_bytes_timeout = 5s\n"
	    "http2_window = 256k\n"
	    "drain_timeout = 1s\nmax_sessions = 5\nmax_device_sessions = 2\n"
	    "max_connections = 9\nrequest_max = 2M\n"
	    "open_request_max = 3M\n"
	    "[server CN=Mail1/O=Acme]\n"
	    "address = mail1.acme.example\n"
	    "address = [::1]:1353\n"
	    "connect_timeout = 250ms\n");
	const struct server *server = servers_at(s->servers, 0);

	CU_ASSERT_EQUAL_FATAL(s->listen_count, 3);
	CU_ASSERT_EQUAL(s->listens[0].kind, LISTEN_TCP);
	CU_ASSERT_EQUAL(s->listens[1].kind, LISTEN_UNIX);
	CU_ASSERT_STRING_EQUAL(s->listens[1].path, "/run/x.sock");
	CU_ASSERT_EQUAL(s->listens[2].kind, LISTEN_SYSTEMD);
	CU_ASSERT_EQUAL(s->unix_mode, 0600);
	CU_ASSERT_STRING_EQUAL(s->path, "/a/b");
	CU_ASSERT_EQUAL(s->gate.linger_ms, 1200000);
	CU_ASSERT_EQUAL(s->gate.hold_max_ms, 10000);
	CU_ASSERT_EQUAL(s->gate.http2_window, 262144);
	CU_ASSERT_EQUAL(s->gate.max_sessions, 5);
	CU_ASSERT_EQUAL(s->gate.request_max, 2097152);
	CU_ASSERT_EQUAL(s->gate.open_request_max, 3145728);
	CU_ASSERT_EQUAL(s->max_connections, 9);
	CU_ASSERT_EQUAL_FATAL(server->address_count, 2);
	CU_ASSERT_STRING_EQUAL(server->addresses[0].host,
	    "mail1.acme.example");
	CU_ASSERT_EQUAL(server->addresses[0].port, 1352);
	CU_ASSERT_EQUAL(server->addresses[1].port, 1353);
	CU_ASSERT_EQUAL(server->connect_ms, 250);
	settings_free(s);
}

static void test_caps_can_be_set(void)
{
	struct settings *s = parse("[gateway]\n"
	    "request_timeout = 5s\nmax_strangers = 7\nhello_rate = 8\n"
	    "hello_burst = 9\nhello_rate_all = 10\n"
	    "max_device_streams = 11\nmax_gateway_streams = 12\n"
	    "max_device_memory = 13M\nmax_memory = 14M\n");

	CU_ASSERT_EQUAL(s->request_ms, 5000);
	CU_ASSERT_EQUAL(s->sources.max_strangers, 7);
	CU_ASSERT_EQUAL(s->sources.hello_rate, 8);
	CU_ASSERT_EQUAL(s->sources.hello_burst, 9);
	CU_ASSERT_EQUAL(s->sources.hello_rate_all, 10);
	CU_ASSERT_EQUAL(s->max_device_streams, 11);
	CU_ASSERT_EQUAL(s->max_gateway_streams, 12);
	CU_ASSERT_EQUAL(s->gate.max_device_memory, 13u << 20);
	CU_ASSERT_EQUAL(s->gate.max_memory, 14u << 20);
	settings_free(s);
	refuse("[gateway]\nhello_rate = 0\n", "gw.conf:2", "hello_rate");
	refuse("[gateway]\nmax_memory = 1M\n", "max_device_memory",
	    "max_memory");
}

static bool trusts(const struct settings *s, const char *address)
{
	uint8_t a[16];

	return networks_parse(address, a) && networks_contain(&s->proxies, a);
}

static void test_trusted_proxies_replace_the_default(void)
{
	struct settings *s = parse("");

	CU_ASSERT_TRUE(trusts(s, "127.0.0.1"));
	CU_ASSERT_TRUE(trusts(s, "::1"));
	CU_ASSERT_FALSE(trusts(s, "10.0.0.1"));
	settings_free(s);
	s = parse("[gateway]\ntrusted_proxy = 10.0.0.0/8\n"
	    "trusted_proxy = 2001:db8::7\n");
	CU_ASSERT_TRUE(trusts(s, "10.0.0.1"));
	CU_ASSERT_TRUE(trusts(s, "2001:db8::7"));
	CU_ASSERT_FALSE(trusts(s, "127.0.0.1"));
	settings_free(s);
	s = parse("[gateway]\ntrusted_proxy = none\n");
	CU_ASSERT_FALSE(trusts(s, "127.0.0.1"));
	settings_free(s);
	refuse("[gateway]\ntrusted_proxy = nginx\n", "gw.conf:2",
	    "no network");
}

static void test_mistakes_are_named_with_line_and_remedy(void)
{
	refuse("[gateway]\nlisen = 127.0.0.1:1\n", "gw.conf:2", "listen");
	refuse("[gateway]\nlisten = localhost:80\n", "gw.conf:2", "127.0.0.1");
	refuse("[gateway]\nlisten = unix:x\n", "gw.conf:2", "absolute");
	refuse("[gateway]\nunix_mode = 0999\n", "gw.conf:2", "octal");
	refuse("[gateway]\nunix_mode = 07777777777777777\n", "gw.conf:2",
	    "octal");
	refuse("[gateway]\npath = nrpc\n", "gw.conf:2", "/nrpc");
	refuse("[gateway]\npath = /a?b\n", "gw.conf:2", "/nrpc");
	refuse("[gateway]\nlog_level = loud\n", "gw.conf:2", "debug");
	refuse("[gateway]\nlinger = 1s\n", "gw.conf:2", "linger");
	refuse("[gateway]\nuser =\n", "gw.conf:2", "empty");
	refuse("[gateway]\npath = /a\npath = /b\n", "gw.conf:3", "path");
	refuse("[server mail1]\naddress = a\n", "gw.conf:1", "CN=Mail1/O=Acme");
	refuse(SERVER "[server cn=MAIL1/o=acme]\naddress = b\n", "gw.conf:3",
	    "already");
	refuse("[server CN=Mail1/O=Acme]\naddress = a:99999\n", "gw.conf:2",
	    "address");
}

static void test_mistakes_of_the_whole_are_named_too(void)
{
	refuse("[gateway]\ntls_key = k\n", "gw.conf", "tls_certificate");
	refuse("[gateway]\ntls_certificate = c\n", "gw.conf", "tls_key");
	refuse(SERVER "[gateway]\ndefault_server = CN=Mail2/O=Acme\n",
	    "CN=Mail2/O=Acme", "not listed");
	refuse("[server CN=Mail1/O=Acme]\nconnect_timeout = 1s\n",
	    "CN=Mail1/O=Acme", "address");
	refuse("[gateway]\nresponse_first = 2M\nresponse_max = 1M\n",
	    "response_first", "response_max");
}

static void test_options_replace_what_the_file_says(void)
{
	static const struct settings_option options[] = {
		{ "listen", "127.0.0.1:2" },
		{ "listen", "127.0.0.1:3" },
		{ "path", "/other" },
	};
	char file[] = "/tmp/test_server_settings.XXXXXX";
	static const char text[] = "[gateway]\nlisten = 127.0.0.1:1\n"
	    "listen = systemd\npath = /file\nuser = nobody\n";
	int fd = mkstemp(file);
	struct settings *s = NULL;
	char address[NET_TEXT_MAX];

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	CU_ASSERT_EQUAL_FATAL(settings_load(&s, file, options, 3, why), 0);
	CU_ASSERT_EQUAL_FATAL(s->listen_count, 2);
	CU_ASSERT_STRING_EQUAL(net_text((const struct sockaddr *)
	    &s->listens[1].address, address, sizeof(address)), "127.0.0.1:3");
	CU_ASSERT_STRING_EQUAL(s->path, "/other");
	CU_ASSERT_STRING_EQUAL(s->user, "nobody");
	settings_free(s);
	unlink(file);
	CU_ASSERT_EQUAL(settings_load(&s, file, options, 3, why), ERR_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, file));
}

static void test_options_replace_the_default_as_well(void)
{
	static const struct settings_option options[] = {
		{ "listen", "127.0.0.1:2" },
	};
	static const struct settings_option bad[] = {
		{ "listen", "nowhere" },
	};
	struct settings *s = NULL;

	CU_ASSERT_EQUAL_FATAL(settings_load(&s, "/dev/null", options, 1, why),
	    0);
	CU_ASSERT_EQUAL(s->listen_count, 1);
	settings_free(s);
	CU_ASSERT_EQUAL(settings_load(&s, "/dev/null", bad, 1, why),
	    ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "--listen"));
}

static void test_other_listens_are_noticed(void)
{
	struct settings *a = parse("[gateway]\nlisten = 127.0.0.1:1\n");
	struct settings *b = parse("[gateway]\nlisten = 127.0.0.1:1\n");
	struct settings *c = parse("[gateway]\nlisten = 127.0.0.1:2\n");
	struct settings *d = parse("[gateway]\nlisten = unix:/a\n");

	CU_ASSERT_TRUE(settings_same_listens(a, b));
	CU_ASSERT_FALSE(settings_same_listens(a, c));
	CU_ASSERT_FALSE(settings_same_listens(a, d));
	settings_free(a);
	settings_free(b);
	settings_free(c);
	settings_free(d);
}

static void test_servers_are_found_in_any_case(void)
{
	struct settings *s = parse(SERVER);

	CU_ASSERT_PTR_NOT_NULL(servers_find(s->servers, "cn=mail1/o=ACME", 15));
	CU_ASSERT_PTR_NULL(servers_find(s->servers, "CN=Mail1/O=Acm", 14));
	CU_ASSERT_PTR_NULL(servers_find(s->servers, "", 0));
	settings_free(s);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "defaults are safe", test_defaults_are_safe },
		{ "everything can be set", test_everything_can_be_set },
		{ "caps can be set", test_caps_can_be_set },
		{ "trusted proxies replace the default",
		  test_trusted_proxies_replace_the_default },
		{ "mistakes are named with line and remedy",
		  test_mistakes_are_named_with_line_and_remedy },
		{ "mistakes of the whole are named too",
		  test_mistakes_of_the_whole_are_named_too },
		{ "options replace what the file says",
		  test_options_replace_what_the_file_says },
		{ "options replace the default as well",
		  test_options_replace_the_default_as_well },
		{ "other listening addresses are noticed",
		  test_other_listens_are_noticed },
		{ "servers are found in any case",
		  test_servers_are_found_in_any_case },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
