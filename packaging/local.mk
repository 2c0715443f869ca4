# For operators to take and adapt: nothing here is installed by itself.
EXTRA_DIST += \
	packaging/apache/nrpc-gateway.conf \
	packaging/haproxy/nrpc-gateway.cfg \
	packaging/nginx/nrpc-gateway.conf \
	packaging/nrpc-gateway.conf.example \
	packaging/nrpc-tunnel.conf.example \
	packaging/systemd/nrpc-gateway.service \
	packaging/systemd/nrpc-gateway.socket \
	packaging/systemd/nrpc-tunnel.service
