//! Sockets that programs with different clients open.

crate::path_setting! {
    /// Socket of Redis
    RedisSocket: "redis_socket", --"redis-socket", "NEXUS_REDIS_SOCKET", "SOCKET", "/run/nexus/redis/redis.sock"
}
