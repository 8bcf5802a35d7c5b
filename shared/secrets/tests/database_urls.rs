//! Database URLs as companies write them.
#![cfg(test)]

use secrets::{DatabaseUrl, DatabaseUrlError, MySqlAddress};

fn mysql(url: &str) -> MySqlAddress {
    match DatabaseUrl::parse(url) {
        Ok(DatabaseUrl::MySql(address)) => address,
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn the_companies_url_is_accepted_as_it_stands() {
    let address = mysql("mysql+aiomysql://user:password@host:3306/name");
    assert_eq!(address.host(), "host");
    assert_eq!(address.port(), 3306);
    assert_eq!(address.user(), "user");
    assert_eq!(address.password().expose(), "password");
    assert_eq!(address.database(), "name");
}

#[test]
fn schemes_ports_and_parameters_may_vary() {
    for url in [
        "mysql://u:p@db.interno/feira",
        "mysql+pymysql://u:p@db.interno:3306/feira",
        "MySQL+asyncmy://u:p@db.interno:/feira",
        "mariadb+mariadbconnector://u:p@db.interno/feira?charset=utf8mb4",
        "  mysql+aiomysql://u:p@db.interno/feira\n",
    ] {
        let address = mysql(url);
        assert_eq!(
            (address.host(), address.port()),
            ("db.interno", 3306),
            "{url}"
        );
        assert_eq!(address.database(), "feira", "{url}");
    }
    let address =
        mysql("mysql://u@[2001:db8::1]:3307/feira?ssl_ca=%2Fetc%2Fca.pem&charset=utf8mb4");
    assert_eq!((address.host(), address.port()), ("2001:db8::1", 3307));
    assert_eq!(address.password().expose(), "");
    assert_eq!(address.parameter("ssl_ca"), Some("/etc/ca.pem"));
    assert_eq!(address.parameter("charset"), Some("utf8mb4"));
    assert_eq!(address.parameter("absent"), None);
}

#[test]
fn passwords_are_read_encoded_and_raw() {
    for (written, password) in [
        ("p%40ss%3Aw%2Ford", "p@ss:w/ord"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("50%zz", "50%zz"),
        ("a:b:c", "a:b:c"),
        ("a/b", "a/b"),
        ("a?b#c", "a?b#c"),
        ("$ecr&t=!*'(),;[]", "$ecr&t=!*'(),;[]"),
        ("p@ss", "p@ss"),
        ("p@s/s@", "p@s/s@"),
        ("ação", "ação"),
        ("a%C3%A7", "aç"),
    ] {
        let address = mysql(&format!("mysql+aiomysql://user:{written}@host:3306/name"));
        assert_eq!(address.password().expose(), password, "{written}");
        assert_eq!(
            (address.host(), address.database()),
            ("host", "name"),
            "{written}"
        );
        assert_eq!(address.user(), "user", "{written}");
    }
}

#[test]
fn the_connection_url_reads_back_to_the_same_parts() {
    let url =
        DatabaseUrl::parse("mysql+aiomysql://us%65r:p%40s/s%25?#&ç@[::1]:3307/na-me_1").unwrap();
    let written = url.connection_url();
    assert!(written.expose().starts_with("mysql://user:"));
    let address = mysql(written.expose());
    assert_eq!(address.password().expose(), "p@s/s%?#&ç");
    assert_eq!((address.host(), address.port()), ("::1", 3307));
    assert_eq!(address.database(), "na-me_1");
    assert!(
        !written
            .expose()
            .trim_start_matches("mysql://")
            .contains(['#', '?', ' '])
    );
}

#[test]
fn tls_is_used_as_the_url_says() {
    let plain = "mysql+aiomysql://u:p@h/n";
    assert!(!mysql(plain).says_how_to_use_tls());
    for (query, written) in [
        ("charset=utf8mb4", "mysql://u:p@h:3306/n"),
        (
            "ssl_mode=required",
            "mysql://u:p@h:3306/n?ssl-mode=REQUIRED",
        ),
        (
            "ssl-mode=VERIFY_CA&charset=x",
            "mysql://u:p@h:3306/n?ssl-mode=VERIFY_CA",
        ),
        (
            "ssl_ca=/etc/ca.pem",
            "mysql://u:p@h:3306/n?ssl-mode=VERIFY_IDENTITY&ssl-ca=%2Fetc%2Fca%2Epem",
        ),
    ] {
        let url = DatabaseUrl::parse(&format!("{plain}?{query}")).unwrap();
        assert_eq!(url.connection_url().expose(), written);
    }
    let wrong = DatabaseUrl::parse(&format!("{plain}?ssl_mode=segredo")).unwrap_err();
    assert_eq!(wrong, DatabaseUrlError::TlsMode);
    assert!(!wrong.to_string().contains("segredo"));
}

#[test]
fn sqlite_paths_are_read_as_sqlalchemy_reads_them() {
    for (url, path) in [
        ("sqlite:///feira.db", "feira.db"),
        ("sqlite:///./estado/feira.db", "./estado/feira.db"),
        ("sqlite:////var/lib/feira.db", "/var/lib/feira.db"),
        (
            "sqlite+aiosqlite:////var/lib/feira.db?timeout=5",
            "/var/lib/feira.db",
        ),
        ("sqlite://feira.db", "feira.db"),
    ] {
        match DatabaseUrl::parse(url) {
            Ok(DatabaseUrl::Sqlite(read)) => assert_eq!(read.to_str(), Some(path), "{url}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    let odd = DatabaseUrl::Sqlite("/estado 1/50%?#.sqlite".into());
    assert_eq!(
        odd.connection_url().expose(),
        "sqlite:///estado 1/50%25%3F%23.sqlite?mode=rwc"
    );
}

#[test]
fn what_is_wrong_is_said_without_a_value() {
    for (url, error) in [
        ("segredo", DatabaseUrlError::Scheme),
        ("postgresql://u:segredo@h/n", DatabaseUrlError::Scheme),
        ("mysql:/u:segredo@h/n", DatabaseUrlError::Scheme),
        ("mysql://u:segredo@/n", DatabaseUrlError::Host),
        ("mysql://h/n", DatabaseUrlError::User),
        ("mysql://:segredo@h/n", DatabaseUrlError::User),
        ("mysql://u:segredo@h:33o6/n", DatabaseUrlError::Port),
        ("mysql://u:segredo@h:0/n", DatabaseUrlError::Port),
        ("mysql://u:segredo@h:70000/n", DatabaseUrlError::Port),
        ("mysql://u:segredo@h:3306", DatabaseUrlError::Database),
        ("mysql://u:segredo@h:3306/", DatabaseUrlError::Database),
        ("mysql://u:segredo%ff@h/n", DatabaseUrlError::Encoding),
        ("sqlite://", DatabaseUrlError::File),
        ("sqlite:///:memory:", DatabaseUrlError::File),
        ("sqlite:////tmp/", DatabaseUrlError::File),
    ] {
        let found = DatabaseUrl::parse(url).unwrap_err();
        assert_eq!(found, error, "{url}");
        assert!(!found.to_string().contains("segredo"));
    }
    let url = DatabaseUrl::parse("mysql://usuario:segredo@servidor/nome").unwrap();
    let DatabaseUrl::MySql(address) = &url else {
        panic!("mysql")
    };
    for shown in [
        format!("{url:?}"),
        format!("{address:?}"),
        format!("{:?}", url.connection_url()),
    ] {
        for value in ["usuario", "segredo", "servidor", "nome"] {
            assert!(!shown.contains(value), "{shown}");
        }
    }
}
