//! Carries requests to a bucket, and tells a failure by what came instead of by its text.
//!
//! The library below makes one sentence of an answer that is no success. Here such an answer becomes an
//! error with its status in it, except where the library itself has to know of it.

use std::pin::Pin;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use super::trouble::{NoKeys, Status};

/// Who hands out keys on machines of a cloud; elsewhere nobody answers there.
const KEEPERS: [&str; 4] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"];
/// How long to wait for them.
const KEEPER_TIMEOUT: Duration = Duration::from_secs(3);
/// Most of an answer that is no success which is looked at.
const MOST_SAID: usize = 16 << 10;

/// Makes carriers. `sought` says where keys were looked for.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) sought: String,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let by = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Carrier { by, sought: self.sought.clone() }))
    }
}

#[derive(Debug)]
struct Carrier {
    by: HttpClient,
    sought: String,
}

impl Carrier {
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let keeper = request.uri().host().is_some_and(|host| KEEPERS.contains(&host));
        if keeper {
            let asked = tokio::time::timeout(KEEPER_TIMEOUT, self.by.execute(request)).await;
            return match asked {
                Ok(Ok(answer)) if answer.status().is_success() => Ok(answer),
                _ => Err(HttpError::new(HttpErrorKind::Unknown, NoKeys(self.sought.clone()))),
            };
        }
        let answer = self.by.execute(request).await?;
        let code = answer.status().as_u16();
        // The library turns these into errors of their own.
        if answer.status().is_success() || matches!(code, 304 | 404 | 409 | 412) {
            return Ok(answer);
        }
        let region = answer.headers().get("x-amz-bucket-region");
        let region = region.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Why it is none is nice to know; that it is none is certain.
        let body = answer.into_body().bytes().await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(MOST_SAID)]).into_owned();
        Err(HttpError::new(HttpErrorKind::Unknown, Status { code, region, body }))
    }
}

impl HttpService for Carrier {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.carry(request))
    }
}
