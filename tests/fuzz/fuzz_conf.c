/*
 * The configuration reader and its value parsers, on any bytes.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Every complaint must have an end and fit. */
static void check(int rc, const char why[CONF_WHY_MAX])
{
	if (rc != 0 && memchr(why, '\0', CONF_WHY_MAX) == NULL)
		abort();
}

static int set_any(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	uint64_t n;
	bool b;

	(void)ctx;
	(void)argument;
	check(conf_uint(value, 3, 1000, &n, why), why);
	check(conf_bool(value, &b, why), why);
	check(conf_size(value, 1, 1 << 20, &n, why), why);
	return conf_duration(value, 1, 3600000, &n, why);
}

static const struct conf_setting settings[] = {
	{ "gateway", "listen", false, true, set_any, "", "ADDRESS" },
	{ "gateway", "hold", false, false, set_any, "", "TIME" },
	{ "server", "address", true, true, set_any, "", "ADDRESS" },
	{ NULL, NULL, false, false, NULL, NULL, NULL }
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf c = { .settings = settings, .ctx = NULL };
	char why[CONF_WHY_MAX];
	/* Exactly sized, so that a byte read behind the end is seen. */
	char *text = malloc(len > 0 ? len : 1);

	if (text == NULL)
		return 0;
	if (len > 0)
		memcpy(text, data, len);
	check(conf_parse(&c, "fuzz", text, len, NULL, why), why);
	free(text);
	return 0;
}
