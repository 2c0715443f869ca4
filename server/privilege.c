#include "config.h"

#include "server/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"

static int find_user(const char *user, struct passwd **out,
    char why[PRIVILEGE_WHY_MAX])
{
	if (user == NULL) {
		snprintf(why, PRIVILEGE_WHY_MAX, "the gateway does not run as "
		    "root: set 'user = nrpc-gateway' (an unprivileged account) "
		    "in the configuration, or start it as that user; to run as "
		    "root all the same, write 'user = root'");
		return ERR_DENIED;
	}
	errno = 0;
	*out = getpwnam(user);
	if (*out != NULL)
		return 0;
	snprintf(why, PRIVILEGE_WHY_MAX, "user '%.100s' %s; make it with: "
	    "useradd --system --shell /usr/sbin/nologin %.100s", user,
	    errno != 0 ? strerror(errno) : "does not exist", user);
	return ERR_NOENT;
}

int privilege_check(const char *user, char why[PRIVILEGE_WHY_MAX])
{
	struct passwd *pw;

	return geteuid() != 0 ? 0 : find_user(user, &pw, why);
}

int privilege_drop(const char *user, char why[PRIVILEGE_WHY_MAX])
{
	struct passwd *pw;
	int rc;

	if (geteuid() != 0)
		return 0;
	rc = find_user(user, &pw, why);
	if (rc != 0 || pw->pw_uid == 0)
		return rc;
	/* Groups first: afterwards there is no right left to change them. */
	if (initgroups(pw->pw_name, pw->pw_gid) == 0 &&
	    setgid(pw->pw_gid) == 0 && setuid(pw->pw_uid) == 0 &&
	    setuid(0) != 0)
		return 0;
	snprintf(why, PRIVILEGE_WHY_MAX, "cannot become user '%.100s': %s",
	    user, strerror(errno));
	return ERR_IO;
}

uid_t privilege_uid(const char *user)
{
	char why[PRIVILEGE_WHY_MAX];
	struct passwd *pw;

	if (geteuid() != 0 || find_user(user, &pw, why) != 0)
		return geteuid();
	return pw->pw_uid;
}
