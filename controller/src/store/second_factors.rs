//! Second factors, as stored: the secret is with its user, recovery codes are hashed.

use rusqlite::{Transaction, params};

use super::{Store, StoreError};

impl Store {
    /// Keeps a secret until its first code confirms it. Returns whether there is such a user.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn begin_totp(&self, user: String, secret: [u8; 20]) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE users SET totp_pending = ?2 WHERE name = ?1";
            Ok(transaction.execute(sql, params![user, secret])? > 0)
        })
        .await
    }

    /// Makes the pending `secret` the one in use, with the step of the code that confirmed it, and replaces the
    /// recovery codes. False if another secret is pending by now.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn confirm_totp(
        &self,
        user: String,
        secret: [u8; 20],
        step: i64,
        codes: Vec<[u8; 32]>,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE users SET totp_secret = totp_pending, totp_pending = NULL, totp_step = ?3
                       WHERE name = ?1 AND totp_pending = ?2";
            let confirmed = transaction.execute(sql, params![user, secret, step])? > 0;
            if confirmed {
                replace_codes(transaction, &user, &codes)?;
            }
            Ok(confirmed)
        })
        .await
    }

    /// Uses up every code up to `step`. False if that step, or a later one, was used before.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn use_totp_step(&self, user: String, step: i64) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE users SET totp_step = ?2 WHERE name = ?1 AND totp_step < ?2";
            Ok(transaction.execute(sql, params![user, step])? > 0)
        })
        .await
    }

    /// Uses up a recovery code. False if there is none of this hash.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn use_recovery_code(&self, user: String, code: [u8; 32]) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "DELETE FROM recovery_codes WHERE user = ?1 AND code_hash = ?2";
            Ok(transaction.execute(sql, params![user, code])? > 0)
        })
        .await
    }

    /// Replaces a user's recovery codes.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub async fn put_recovery_codes(&self, user: String, codes: Vec<[u8; 32]>) -> Result<(), StoreError> {
        self.write(move |transaction| replace_codes(transaction, &user, &codes)).await
    }

    /// How many recovery codes a user has left.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn recovery_codes_left(&self, user: String) -> Result<u32, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM recovery_codes WHERE user = ?1";
            Ok(connection.query_row(sql, [user], |row| row.get(0))?)
        })
        .await
    }

    /// Takes a user's second factor away, with its recovery codes. Returns whether there is such a user.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn clear_totp(&self, user: String) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            replace_codes(transaction, &user, &[])?;
            let sql =
                "UPDATE users SET totp_secret = NULL, totp_pending = NULL, totp_step = 0 WHERE name = ?1";
            Ok(transaction.execute(sql, [user])? > 0)
        })
        .await
    }
}

fn replace_codes(transaction: &Transaction<'_>, user: &str, codes: &[[u8; 32]]) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM recovery_codes WHERE user = ?1", [user])?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO recovery_codes (user, code_hash) VALUES (?1, ?2)")?;
    for code in codes {
        insert.execute(params![user, code])?;
    }
    Ok(())
}
