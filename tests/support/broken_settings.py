"""Invalid settings, each with its error message."""

CANARY = "CANARY"
PG = "postgresql://user@host:5432/db"
REDIS = "redis://host:6379/0"

_IN_URL = "a password is not allowed in the URL. Put it in the secret"
_LINE_ENDS = "Save the file that sets it with Unix line ends (LF)."
_NO_FILE = "the file can't be used. Mount a PEM file there, or correct the path."

# Messages, each with the values that cause it. A message begins with the name of the setting.
_VALUES: list[tuple[str, tuple[str, ...]]] = [
    (
        "HOST: must be a name, or an IP address without brackets and port. Correct it or unset it.",
        ("[::1]", "127.0.0.1:8000", f"http://{CANARY}", f"{CANARY} ", f"{CANARY}\n"),
    ),
    (
        "PORT: must be a port from 1 to 65535. Correct it or unset it.",
        ("0", "+8000", "8_000", "8000.0", CANARY),
    ),
    (
        "MAINTENANCE_FILE: contains a character that is not printable. Remove it.",
        (f"/{CANARY}\n", f"/{CANARY}\x1b", f"/{CANARY}\u200b"),
    ),
    ("POSTGRES_AUTH: must be password or none. Correct it or unset it.", (CANARY,)),
    ("REDIS_DEPTH: must be connect, query or writable. Correct it or unset it.", (CANARY,)),
    ("HEALTH_DETAILS: must be always, authorized or never. Correct it or unset it.", (CANARY,)),
    ("SUCCESS_THRESHOLD: must be a whole number from 1 to 20. Correct it or unset it.", ("1.5",)),
    ("OPTIONAL_CHECKS: mysql is not a check. Use postgres or redis.", ("mysql",)),
    ("OPTIONAL_CHECKS: redis\\nminio is not a check. Use postgres or redis.", ("redis\nminio",)),
    (
        "OPTIONAL_CHECKS: must be names of checks with commas between. Correct it or unset it.",
        (f"redis,redis://:{CANARY}@host/0", '["redis"]', "redis;postgres"),
    ),
    (
        "DATABASE_URL: must have the form postgresql://user@host:port/database. Correct it.",
        (
            CANARY,
            f"mysql://user@{CANARY}/db",
            f"postgresql://{CANARY}/db",
            f"postgresql://user@/{CANARY}",
            f"postgresql://user@{CANARY}:99999/db",
            f"postgresql://user@{CANARY}:{CANARY}/db",
        ),
    ),
    (
        f"DATABASE_URL: {_IN_URL} postgres_password.",
        (f"postgresql://user:{CANARY}@host/db", f"{PG}?password={CANARY}"),
    ),
    ("DATABASE_URL: the query option is not supported. Remove it.", (f"{PG}?{CANARY}=1",)),
    (
        "DATABASE_URL: the query option channel_binding is not supported. Remove it.",
        (f"{PG}?channel_binding={CANARY}",),
    ),
    (
        (
            "DATABASE_URL: unknown sslmode. "
            "Use one of disable, allow, prefer, require, verify-ca, verify-full."
        ),
        (f"{PG}?sslmode={CANARY}",),
    ),
    (
        f"DATABASE_URL: sslrootcert: {_NO_FILE}",
        (f"{PG}?sslmode=require&sslrootcert=/{CANARY}",),
    ),
    (
        "DATABASE_URL: contains a space or a line break. Remove it.",
        (f"{PG}\n", f"postgresql://user@{CANARY} host/db"),
    ),
    (
        (
            "REDIS_URL: must have the form redis://host:port/0, rediss://host:port/0 or "
            "unix:///path. Correct it."
        ),
        (
            CANARY,
            f"http://{CANARY}",
            "redis://",
            f"redis://{CANARY}:99999",
            f"redis://{CANARY}?port=1{CANARY}",
            f"redis://{CANARY}:{'9' * 5000}",
            "unix://",
            f"unix://{CANARY}/redis.sock",
        ),
    ),
    (
        f"REDIS_URL: {_IN_URL} redis_password.",
        (f"redis://:{CANARY}@host", f"redis://host?password={CANARY}"),
    ),
    ("REDIS_URL: the database must be a number. Correct it.", (f"redis://host/{CANARY}",)),
    ("REDIS_URL: the query option is not supported. Remove it.", (f"{REDIS}?{CANARY}=1",)),
    (
        "REDIS_URL: the query option ssl_min_version is not supported. Remove it.",
        ("redis://host?ssl_min_version=771",),
    ),
    (
        f"REDIS_URL: ssl_ca_certs: {_NO_FILE}",
        ("rediss://host?ssl_ca_certs=/etc/hostname",),
    ),
    (
        "REDIS_URL: ssl_ca_certs needs TLS. Use rediss://.",
        (f"{REDIS}?ssl_ca_certs=/{CANARY}",),
    ),
    (
        "REDIS_URL: contains a space or a line break. Remove it.",
        (f" {REDIS.replace('redis', 'rediss')}", f"redis://{CANARY}\n"),
    ),
    *(
        (
            f"{name}: must be a number of seconds from 0.01 to 86400. Correct it or unset it.",
            ("0", "1e-6", "nan", "inf", "1e9", CANARY),
        )
        for name in ("CHECK_TIMEOUT", "REDIS_CHECK_INTERVAL", "RECONNECT_INTERVAL")
    ),
    *(
        (
            f"{name}: contains a carriage return. {_LINE_ENDS}",
            (f"{value}\r",),
        )
        for name, value in (
            ("HOST", "127.0.0.1"),
            ("PORT", "8000"),
            ("LOG_LEVEL", "info"),
            ("DATABASE_URL", PG),
            ("CHECK_INTERVAL", "1"),
            ("MAINTENANCE_FILE", f"/{CANARY}"),
        )
    ),
    *(
        (f"{name}: is in quotes, which are part of the value. Remove them.", (value,))
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
    ),
]

# Name, value, message.
BROKEN = [
    (message.partition(":")[0], value, message) for message, values in _VALUES for value in values
]
