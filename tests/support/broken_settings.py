"""Invalid settings, each with its error message."""

CANARY = "CANARY"
PG = "postgresql://user@host:5432/db"
REDIS = "redis://host:6379/0"

# Name, value, message.
BROKEN = [
    *[
        (
            "HOST",
            value,
            (
                "HOST: must be a name, or an IP address without brackets and port. "
                "Correct it or unset it."
            ),
        )
        for value in ("[::1]", "127.0.0.1:8000", f"http://{CANARY}", f"{CANARY} ", f"{CANARY}\n")
    ],
    *[
        (
            name,
            f"{value}\r",
            (
                f"{name}: contains a carriage return. "
                "Save the file that sets it with Unix line ends (LF)."
            ),
        )
        for name, value in (
            ("HOST", "127.0.0.1"),
            ("PORT", "8000"),
            ("LOG_LEVEL", "info"),
            ("DATABASE_URL", PG),
            ("CHECK_INTERVAL", "1"),
            ("MAINTENANCE_FILE", f"/{CANARY}"),
        )
    ],
    *[
        (name, value, f"{name}: is in quotes, which are part of the value. Remove them.")
        for name, value in (
            ("HOST", '"127.0.0.1"'),
            ("PORT", '"8000"'),
            ("LOG_LEVEL", "'info'"),
            ("DATABASE_URL", f'"{PG}"'),
            ("REDIS_URL", f"'{REDIS}'"),
            ("CHECK_INTERVAL", '"1"'),
            ("CHECKS", "'{}'"),
            ("CHECKS_FILE", f'"/{CANARY}"'),
            ("HEALTH_DETAILS", "`always`"),
            ("POSTGRES_DEPTH", '"query"'),
        )
    ],
    *[
        (
            "MAINTENANCE_FILE",
            f"/{CANARY}{character}",
            "MAINTENANCE_FILE: contains a character that is not printable. Remove it.",
        )
        for character in ("\n", "\x1b", "\u200b")
    ],
    *(
        ("PORT", port, "PORT: must be a port from 1 to 65535. Correct it or unset it.")
        for port in ("0", "+8000", "8_000", "8000.0")
    ),
    ("PORT", CANARY, "PORT: must be a port from 1 to 65535. Correct it or unset it."),
    (
        "POSTGRES_AUTH",
        CANARY,
        "POSTGRES_AUTH: must be password or none. Correct it or unset it.",
    ),
    (
        "REDIS_DEPTH",
        CANARY,
        "REDIS_DEPTH: must be connect, query or writable. Correct it or unset it.",
    ),
    *[
        (
            name,
            value,
            (f"{name}: must be a number of seconds from 0.01 to 86400. Correct it or unset it."),
        )
        for name in ("CHECK_TIMEOUT", "REDIS_CHECK_INTERVAL", "RECONNECT_INTERVAL")
        for value in ("0", "1e-6", "nan", "inf", "1e9", CANARY)
    ],
    (
        "HEALTH_DETAILS",
        CANARY,
        "HEALTH_DETAILS: must be always, authorized or never. Correct it or unset it.",
    ),
    (
        "SUCCESS_THRESHOLD",
        "1.5",
        "SUCCESS_THRESHOLD: must be a whole number from 1 to 20. Correct it or unset it.",
    ),
    (
        "OPTIONAL_CHECKS",
        "mysql",
        "OPTIONAL_CHECKS: mysql is not a check. Use postgres or redis.",
    ),
    (
        "OPTIONAL_CHECKS",
        "redis\nminio",
        "OPTIONAL_CHECKS: redis\\nminio is not a check. Use postgres or redis.",
    ),
    *[
        (
            "OPTIONAL_CHECKS",
            value,
            "OPTIONAL_CHECKS: must be names of checks with commas between. Correct it or unset it.",
        )
        for value in (f"redis,redis://:{CANARY}@host/0", '["redis"]', "redis;postgres")
    ],
    *[
        (
            "DATABASE_URL",
            url,
            "DATABASE_URL: must have the form postgresql://user@host:port/database. Correct it.",
        )
        for url in (
            CANARY,
            f"mysql://user@{CANARY}/db",
            f"postgresql://{CANARY}/db",
            f"postgresql://user@/{CANARY}",
            f"postgresql://user@{CANARY}:99999/db",
            f"postgresql://user@{CANARY}:{CANARY}/db",
        )
    ],
    (
        "DATABASE_URL",
        f"postgresql://user:{CANARY}@host/db",
        (
            "DATABASE_URL: a password is not allowed in the URL. "
            "Put it in the secret postgres_password."
        ),
    ),
    (
        "DATABASE_URL",
        f"{PG}?{CANARY}=1",
        "DATABASE_URL: the query option is not supported. Remove it.",
    ),
    (
        "DATABASE_URL",
        f"{PG}?sslmode={CANARY}",
        (
            "DATABASE_URL: unknown sslmode. Use one of "
            "disable, allow, prefer, require, verify-ca, verify-full."
        ),
    ),
    (
        "DATABASE_URL",
        f"{PG}?sslmode=require&sslrootcert=/{CANARY}",
        (
            "DATABASE_URL: sslrootcert: the file can't be used. "
            "Mount a PEM file there, or correct the path."
        ),
    ),
    *[
        (
            "REDIS_URL",
            url,
            (
                "REDIS_URL: must have the form redis://host:port/0, rediss://host:port/0 or "
                "unix:///path. Correct it."
            ),
        )
        for url in (
            CANARY,
            f"http://{CANARY}",
            "redis://",
            f"redis://{CANARY}:99999",
            f"redis://{CANARY}?port=1{CANARY}",
            f"redis://{CANARY}:{'9' * 5000}",
            "unix://",
        )
    ],
    (
        "REDIS_URL",
        f"redis://:{CANARY}@host",
        "REDIS_URL: a password is not allowed in the URL. Put it in the secret redis_password.",
    ),
    (
        "REDIS_URL",
        f"redis://host?password={CANARY}",
        "REDIS_URL: a password is not allowed in the URL. Put it in the secret redis_password.",
    ),
    (
        "REDIS_URL",
        f"redis://host/{CANARY}",
        "REDIS_URL: the database must be a number. Correct it.",
    ),
    (
        "REDIS_URL",
        "redis://host?ssl_min_version=771",
        "REDIS_URL: the query option ssl_min_version is not supported. Remove it.",
    ),
    (
        "REDIS_URL",
        "rediss://host?ssl_ca_certs=/etc/hostname",
        (
            "REDIS_URL: ssl_ca_certs: the file can't be used. "
            "Mount a PEM file there, or correct the path."
        ),
    ),
    (
        "DATABASE_URL",
        f"{PG}?password={CANARY}",
        (
            "DATABASE_URL: a password is not allowed in the URL. "
            "Put it in the secret postgres_password."
        ),
    ),
    (
        "DATABASE_URL",
        f"{PG}?channel_binding={CANARY}",
        "DATABASE_URL: the query option channel_binding is not supported. Remove it.",
    ),
    *[
        (name, url, f"{name}: contains a space or a line break. Remove it.")
        for name, url in (
            ("DATABASE_URL", f"{PG}\n"),
            ("DATABASE_URL", f"postgresql://user@{CANARY} host/db"),
            ("REDIS_URL", f" {REDIS.replace('redis', 'rediss')}"),
            ("REDIS_URL", f"redis://{CANARY}\n"),
        )
    ],
    (
        "REDIS_URL",
        f"unix://{CANARY}/redis.sock",
        (
            "REDIS_URL: must have the form redis://host:port/0, rediss://host:port/0 or "
            "unix:///path. Correct it."
        ),
    ),
    (
        "REDIS_URL",
        f"{REDIS}?ssl_ca_certs=/{CANARY}",
        "REDIS_URL: ssl_ca_certs needs TLS. Use rediss://.",
    ),
    (
        "REDIS_URL",
        f"{REDIS}?{CANARY}=1",
        "REDIS_URL: the query option is not supported. Remove it.",
    ),
]
