#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/keyfile.h"
#include "tests/unit/unit.h"

/* The secret and public key of Alice in RFC 7748, section 6.1. */
#define SECRET "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
#define PUBLIC "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="

static char dir[64], path[80];

static void write_file(const char *text, size_t len, mode_t mode)
{
	FILE *f;

	(void)unlink(path);
	f = fopen(path, "w");
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT_EQUAL(fwrite(text, 1, len, f), len);
	CU_ASSERT_EQUAL(fclose(f), 0);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
}

/* The sentence for a file of this content and mode; rc is what is expected. */
static const char *why_not(const char *text, mode_t mode, int rc)
{
	static char why[KEYFILE_WHY_MAX];
	struct noise_keys keys, untouched;

	memset(&keys, 0x11, sizeof(keys));
	untouched = keys;
	write_file(text, strlen(text), mode);
	why[0] = '\0';
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &keys, why), rc);
	CU_ASSERT_EQUAL(memcmp(&keys, &untouched, sizeof(keys)), 0);
	CU_ASSERT(strstr(why, SECRET) == NULL);
	return why;
}

/* The sentence names the file, then says this, and somewhere the remedy. */
static void check_why(const char *why, const char *then, const char *remedy)
{
	size_t len = strlen(path);

	CU_ASSERT_EQUAL(strncmp(why, path, len), 0);
	CU_ASSERT_EQUAL(strncmp(why + len, then, strlen(then)), 0);
	CU_ASSERT(strstr(why, remedy) != NULL);
}

static void check_reads(const char *text, mode_t mode)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX];
	char pub[KEYFILE_TEXT_LEN + 1], secret[KEYFILE_TEXT_LEN + 1];

	write_file(text, strlen(text), mode);
	CU_ASSERT_EQUAL_FATAL(keyfile_read(path, geteuid(), &keys, why), 0);
	keyfile_encode(keys.secret, secret);
	keyfile_encode(keys.pub, pub);
	CU_ASSERT_STRING_EQUAL(secret, SECRET);
	CU_ASSERT_STRING_EQUAL(pub, PUBLIC);
}

static void test_a_key_is_read_and_its_public_half_derived(void)
{
	check_reads(SECRET "\n", 0600);
	check_reads(SECRET, 0400);
	check_reads(SECRET "\r\n", 0600);
	check_reads(SECRET " \t\n\n", 0700);
	check_reads("# public key: " PUBLIC "\n\n  \n" SECRET "\n# end", 0600);
}

static void test_a_link_to_a_key_file_is_followed(void)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX], link_path[96];

	write_file(SECRET "\n", sizeof(SECRET), 0600);
	snprintf(link_path, sizeof(link_path), "%s.link", path);
	CU_ASSERT_EQUAL(symlink(path, link_path), 0);
	CU_ASSERT_EQUAL(keyfile_read(link_path, geteuid(), &keys, why), 0);
	CU_ASSERT_EQUAL(chmod(path, 0640), 0);
	CU_ASSERT_EQUAL(keyfile_read(link_path, geteuid(), &keys, why), ERR_CONFIG);
	CU_ASSERT_EQUAL(unlink(link_path), 0);
}

static void test_a_key_that_others_can_reach_is_refused(void)
{
	static const mode_t mode[] = {
		0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666, 0777
	};
	char text[64];

	for (size_t i = 0; i < sizeof(mode) / sizeof(mode[0]); i++) {
		snprintf(text, sizeof(text), ": mode %04o lets others",
		    (unsigned)mode[i]);
		check_why(why_not(SECRET "\n", mode[i], ERR_CONFIG), text,
		    "; run: chmod 600 ");
	}
}

static void test_a_key_of_another_user_is_refused(void)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX];

	if (geteuid() != 0) {
		CU_PASS("only root can give files away");
		return;
	}
	write_file(SECRET "\n", sizeof(SECRET), 0600);
	CU_ASSERT_EQUAL(chown(path, 12345, 0), 0);
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &keys, why), ERR_CONFIG);
	check_why(why, ": belongs to user 12345", "; run: chown 0 ");
}

static void test_what_is_no_regular_file_is_refused(void)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX];

	(void)unlink(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &keys, why), ERR_CONFIG);
	check_why(why, ": not a regular file; ", "give the path");
	CU_ASSERT_EQUAL(rmdir(path), 0);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &keys, why), ERR_CONFIG);
	check_why(why, ": not a regular file; ", "give the path");
	CU_ASSERT_EQUAL(unlink(path), 0);
}

static void test_a_missing_file_is_told_apart(void)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX];

	(void)unlink(path);
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &keys, why), ERR_NOENT);
	check_why(why, ": no such file; ", "keygen");
}

static void test_a_file_without_a_key_is_refused(void)
{
	check_why(why_not("", 0600, ERR_CONFIG), ": holds no key; ", "keygen");
	check_why(why_not("\n# " SECRET "\n", 0600, ERR_CONFIG),
	    ": holds no key; ", "keygen");
}

static void test_a_second_key_is_refused_with_its_line(void)
{
	check_why(why_not(SECRET "\n# x\n" SECRET "\n", 0600, ERR_CONFIG),
	    ":3: a second key; ", "leave only one");
	check_why(why_not(SECRET "\nrubbish\n", 0600, ERR_CONFIG),
	    ":2: a second key; ", "leave only one");
}

static void test_a_line_of_wrong_length_is_refused_with_its_line(void)
{
	check_why(why_not("#\n" SECRET "=\n", 0600, ERR_CONFIG),
	    ":2: 45 characters where a key has 44; ", "keygen");
	check_why(why_not(&SECRET[1], 0600, ERR_CONFIG),
	    ":1: 43 characters where a key has 44; ", "keygen");
	check_why(why_not(" " SECRET, 0600, ERR_CONFIG),
	    ":1: 45 characters where a key has 44; ", "keygen");
}

static void test_bad_base64_is_refused_with_its_line(void)
{
	char text[] = SECRET "\n";

	text[10] = '*';
	check_why(why_not(text, 0600, ERR_CONFIG),
	    ":1: not a key in base64; ", "keygen");
	text[10] = ' ';
	check_why(why_not(text, 0600, ERR_CONFIG),
	    ":1: not a key in base64; ", "keygen");
}

static void test_zero_bytes_in_a_file_are_refused(void)
{
	char text[KEYFILE_TEXT_LEN] = { 0 };
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX];

	write_file(text, sizeof(text), 0600);
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &keys, why), ERR_CONFIG);
	check_why(why, ":1: not a key in base64; ", "keygen");
}

static void test_a_file_that_is_too_long_is_refused(void)
{
	char text[5000];

	memset(text, '\n', sizeof(text));
	memcpy(text, SECRET, sizeof(SECRET) - 1);
	text[sizeof(text) - 1] = '\0';
	check_why(why_not(text, 0600, ERR_CONFIG), ": too long for a key ",
	    "give the path");
}

static void test_a_created_key_is_private_and_reads_back(void)
{
	struct noise_keys made, read;
	char why[KEYFILE_WHY_MAX], line[128], pub[KEYFILE_TEXT_LEN + 1];
	char expected[128];
	struct stat st;
	mode_t old;
	FILE *f;

	(void)unlink(path);
	old = umask(0777);
	CU_ASSERT_EQUAL(keyfile_create(path, &made, why), 0);
	(void)umask(old);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(keyfile_read(path, geteuid(), &read, why), 0);
	CU_ASSERT_EQUAL(memcmp(&made, &read, sizeof(made)), 0);

	f = fopen(path, "r");
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT(fgets(line, sizeof(line), f) != NULL);
	keyfile_encode(made.pub, pub);
	snprintf(expected, sizeof(expected), "# public key: %s\n", pub);
	CU_ASSERT_STRING_EQUAL(line, expected);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void test_create_never_overwrites(void)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX], target[96];

	write_file("precious", 8, 0644);
	CU_ASSERT_EQUAL(keyfile_create(path, &keys, why), ERR_EXIST);
	check_why(why, ": is there already ", "move it away");
	CU_ASSERT_EQUAL(strncmp(why_not("precious", 0600, ERR_CONFIG) +
	    strlen(path), ":1: 8 characters", 16), 0);

	/* Nor is a dangling link written through. */
	(void)unlink(path);
	snprintf(target, sizeof(target), "%s.target", path);
	CU_ASSERT_EQUAL(symlink(target, path), 0);
	CU_ASSERT_EQUAL(keyfile_create(path, &keys, why), ERR_EXIST);
	CU_ASSERT_EQUAL(access(target, F_OK), -1);
}

static void test_a_failed_create_leaves_nothing_behind(void)
{
	struct rlimit old, tiny;
	struct noise_keys keys, untouched;
	char why[KEYFILE_WHY_MAX];

	(void)unlink(path);
	memset(&keys, 0x11, sizeof(keys));
	untouched = keys;
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
	tiny = old;
	tiny.rlim_cur = 20;		/* the write stops in the midst */
	(void)signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	CU_ASSERT_EQUAL(keyfile_create(path, &keys, why), ERR_IO);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_DFL);
	check_why(why, ": cannot be written: File too large; ", "make room");
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	CU_ASSERT_EQUAL(memcmp(&keys, &untouched, sizeof(keys)), 0);
}

static void test_a_folder_that_is_missing_is_named(void)
{
	struct noise_keys keys;
	char why[KEYFILE_WHY_MAX], deep[128];

	snprintf(deep, sizeof(deep), "%s/missing/key", dir);
	CU_ASSERT_EQUAL(keyfile_create(deep, &keys, why), ERR_IO);
	CU_ASSERT(strstr(why, deep) != NULL);
	CU_ASSERT(strstr(why, "No such file or directory; give a path") !=
	    NULL);
}

static void test_decode_takes_exactly_one_key(void)
{
	uint8_t key[32], again[32];
	char text[KEYFILE_TEXT_LEN + 1];

	CU_ASSERT_EQUAL(keyfile_decode(PUBLIC, KEYFILE_TEXT_LEN, key), 0);
	keyfile_encode(key, text);
	CU_ASSERT_STRING_EQUAL(text, PUBLIC);
	CU_ASSERT_EQUAL(keyfile_decode(PUBLIC, KEYFILE_TEXT_LEN - 1, again),
	    ERR_CONFIG);
	CU_ASSERT_EQUAL(keyfile_decode(PUBLIC "=", KEYFILE_TEXT_LEN + 1,
	    again), ERR_CONFIG);
	CU_ASSERT_EQUAL(keyfile_decode("", 0, again), ERR_CONFIG);
}

static void test_a_fingerprint_looks_as_ssh_keygen_shows_it(void)
{
	uint8_t key[32];
	char text[KEYFILE_FINGERPRINT_LEN + 1];

	CU_ASSERT_EQUAL(keyfile_decode(PUBLIC, KEYFILE_TEXT_LEN, key), 0);
	keyfile_fingerprint(key, text);
	CU_ASSERT_STRING_EQUAL(text,
	    "SHA256:MAyclgO5Kks57TlYv5JAEUgE20/TcwEsDKR0MtY0Ja4");
}

static void test_a_session_id_has_one_spelling(void)
{
	static const uint8_t id[16] = {
		0xfb, 0xff, 0xbf, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
	};
	static const char *const bad[] = {
		"-_-_AAECAwQFBgcICQoLDB", "-_-_AAECAwQFBgcICQoLD",
		"-_-_AAECAwQFBgcICQoLDA=", "+/+/AAECAwQFBgcICQoLDA",
		"-_-_AAECAwQFBgcICQoLD=", "-_-_AAECAwQFBgcICQoL%A", ""
	};
	char text[KEYFILE_ID_TEXT_LEN + 1];
	uint8_t back[16];

	keyfile_id_encode(id, text);
	CU_ASSERT_STRING_EQUAL(text, "-_-_AAECAwQFBgcICQoLDA");
	CU_ASSERT_EQUAL(keyfile_id_decode(text, strlen(text), back), 0);
	CU_ASSERT_EQUAL(memcmp(back, id, sizeof(id)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(keyfile_id_decode(bad[i], strlen(bad[i]),
		    back), ERR_PROTO);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a key is read and its public half derived",
		    test_a_key_is_read_and_its_public_half_derived },
		{ "a link to a key file is followed",
		    test_a_link_to_a_key_file_is_followed },
		{ "a key that others can reach is refused",
		    test_a_key_that_others_can_reach_is_refused },
		{ "a key of another user is refused",
		    test_a_key_of_another_user_is_refused },
		{ "what is no regular file is refused",
		    test_what_is_no_regular_file_is_refused },
		{ "a missing file is told apart",
		    test_a_missing_file_is_told_apart },
		{ "a file without a key is refused",
		    test_a_file_without_a_key_is_refused },
		{ "a second key is refused with its line",
		    test_a_second_key_is_refused_with_its_line },
		{ "a line of wrong length is refused with its line",
		    test_a_line_of_wrong_length_is_refused_with_its_line },
		{ "bad base64 is refused with its line",
		    test_bad_base64_is_refused_with_its_line },
		{ "zero bytes in a file are refused",
		    test_zero_bytes_in_a_file_are_refused },
		{ "a file that is too long is refused",
		    test_a_file_that_is_too_long_is_refused },
		{ "a created key is private and reads back",
		    test_a_created_key_is_private_and_reads_back },
		{ "create never overwrites", test_create_never_overwrites },
		{ "a failed create leaves nothing behind",
		    test_a_failed_create_leaves_nothing_behind },
		{ "a folder that is missing is named",
		    test_a_folder_that_is_missing_is_named },
		{ "decode takes exactly one key",
		    test_decode_takes_exactly_one_key },
		{ "a fingerprint looks as ssh-keygen shows it",
		    test_a_fingerprint_looks_as_ssh_keygen_shows_it },
		{ "a session's id has one spelling",
		    test_a_session_id_has_one_spelling },
		{ NULL, NULL }
	};
	int rc;

	snprintf(dir, sizeof(dir), "/tmp/test_keyfile.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/device.key", dir);
	rc = unit_main(tests);
	(void)unlink(path);
	(void)rmdir(dir);
	return rc;
}
