#include "config.h"

#include "server/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define V4_BITS 96u	/* before an IPv4 address in its IPv6 form */

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255 };

static void from_v4(const void *v4, uint8_t out[16])
{
	memcpy(out, v4_prefix, sizeof(v4_prefix));
	memcpy(out + sizeof(v4_prefix), v4, 4);
}

bool networks_address(const struct sockaddr *sa, uint8_t out[16])
{
	switch (sa->sa_family) {
	case AF_INET:
		from_v4(&((const struct sockaddr_in *)sa)->sin_addr, out);
		return true;
	case AF_INET6:
		memcpy(out, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		return true;
	default:
		return false;
	}
}

bool networks_parse(const char *text, uint8_t out[16])
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		from_v4(v4, out);
		return true;
	}
	return inet_pton(AF_INET6, text, out) == 1;
}

int networks_add(struct networks *n, const char *text,
    char why[NETWORKS_WHY_MAX])
{
	struct network *to = &n->list[n->count];
	char address[INET6_ADDRSTRLEN + 1];
	size_t len = strcspn(text, "/");
	bool is_v4 = memchr(text, ':', len) == NULL;
	unsigned long bits = is_v4 ? 32 : 128, max = bits;
	char *end = NULL;

	if (n->count == NETWORKS_MAX) {
		snprintf(why, NETWORKS_WHY_MAX, "there are %u already",
		    NETWORKS_MAX);
		return ERR_LIMIT;
	}
	snprintf(address, sizeof(address), "%.*s", (int)len, text);
	if (text[len] == '/' && text[len + 1] >= '0' && text[len + 1] <= '9')
		bits = strtoul(text + len + 1, &end, 10);
	if (len >= sizeof(address) || !networks_parse(address, to->address) ||
	    (text[len] == '/' && (end == NULL || *end != '\0')) || bits > max) {
		snprintf(why, NETWORKS_WHY_MAX, "'%.50s' is no network; write "
		    "it as in 192.0.2.10, 10.0.0.0/8 or 2001:db8::/32", text);
		return ERR_CONFIG;
	}
	to->bits = (unsigned)bits + (is_v4 ? V4_BITS : 0);
	n->count++;
	return 0;
}

static bool is_inside(const struct network *n, const uint8_t address[16])
{
	size_t whole = n->bits / 8;
	unsigned rest = n->bits % 8;
	unsigned differ;

	if (memcmp(n->address, address, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	differ = n->address[whole] ^ address[whole];
	return differ >> (8 - rest) == 0;
}

bool networks_contain(const struct networks *n, const uint8_t address[16])
{
	for (size_t i = 0; i < n->count; i++)
		if (is_inside(&n->list[i], address))
			return true;
	return false;
}
