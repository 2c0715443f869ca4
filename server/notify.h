/*
 * Tells systemd how the service is (sd_notify(3)), where it asked to be told
 * by NOTIFY_SOCKET; does nothing elsewhere.
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1". A failure does not matter. */
void notify_systemd(const char *state);

#endif
