//! Listing a database's objects.

use tokio_postgres::Client;

use crate::failure::Result;
use crate::postgres::failure::from_client;
use crate::set::objects::{Objects, QUERIES};

/// Lists the objects of the database that `client` is connected to.
///
/// # Errors
/// The server's.
pub async fn list(client: &Client) -> Result<Objects> {
    let mut objects = Objects::default();
    for query in QUERIES {
        let rows =
            client.query(query, &[]).await.map_err(|e| from_client("listing the database's objects", &e))?;
        for row in rows {
            objects.add(row.get(0), row.get(1), row.get(2));
        }
    }
    Ok(objects)
}
