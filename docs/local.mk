dist_man_MANS += \
	docs/man/nrpc-gateway.8 \
	docs/man/nrpc-gateway.conf.5 \
	docs/man/nrpc-tunnel.1 \
	docs/man/nrpc-tunnel.conf.5

dist_doc_DATA += docs/OPERATING.md docs/PERFORMANCE.md docs/PROTOCOL.md \
	docs/SECURITY.md docs/TESTING.md
