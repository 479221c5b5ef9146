// Whether a request proves that its token is its sender's own: DPoP, RFC 9449
// section 4.3, by other code than the authorization server's.
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from "jose";
import { createHash } from "node:crypto";

/** The nonce that is wanted in every proof. */
export const NONCE = "of-the-protected-server";

const seen = new Set();

/**
 * Throws unless `request` to `url` proves possession of the key that the token
 * with `claims` is bound to; gives whether the nonce is the right one.
 */
export async function proven(request, url, token, claims) {
  const verify = { typ: "dpop+jwt", algorithms: ["ES256"], maxTokenAge: 60 };
  const proof = await jwtVerify(request.headers.dpop ?? "", EmbeddedJWK, verify);
  const { htm, htu, ath, jti, nonce } = proof.payload;
  const expected = createHash("sha256").update(token).digest("base64url");
  const thumbprint = await calculateJwkThumbprint(proof.protectedHeader.jwk);
  const right =
    htm === request.method &&
    htu === url &&
    ath === expected &&
    claims.cnf?.jkt === thumbprint &&
    !seen.has(jti);
  seen.add(jti);
  if (!right) throw new Error("the proof is not of this request");
  return nonce === NONCE;
}
