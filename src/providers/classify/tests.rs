//! The vendors' errors, as they send them, and what each means.

use super::*;
use std::collections::BTreeSet;

/// A body as the vendor sends it, its status, and what it means. One for each row of the table; under 200,
/// for words that speak only where there is no other status.
const FIXTURES: &[(u16, &str, ErrorClass)] = &[
    (
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"message":"Billing hard limit has been reached","type":"invalid_request_error","code":"billing_hard_limit_reached"}}"#,
        Auth,
    ),
    (
        429,
        r#"{"error":{"message":"Your account is not active.","type":"billing_not_active","code":"billing_not_active"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"message":"The account was deactivated.","type":"invalid_request_error","code":"account_deactivated"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"billing_error","message":"Check your payment details."}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"Bad key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"This API method requires billing.","status":"FAILED_PRECONDITION","details":[{"reason":"BILLING_DISABLED"}]}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"Enable it first.","status":"FAILED_PRECONDITION","details":[{"reason":"SERVICE_DISABLED"}]}}"#,
        Auth,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
        Auth,
    ),
    (
        400,
        r#"{"error":{"message":"Too long.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"request (9000 tokens) exceeds the size","type":"exceed_context_size_error"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"error":{"message":"Your input exceeds the context window of this model.","type":"invalid_request_error"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
        ContextLength,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Input is too long for requested model."}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"The provided model identifier is invalid."}}"#,
        ModelNotFound,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Invocation of model ID x with on-demand throughput isn’t supported."}}"#,
        ModelNotFound,
    ),
    (
        400,
        r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#,
        ContentFilter,
    ),
    (
        400,
        r#"{"error":{"message":"Rejected by the safety system.","type":"invalid_request_error","code":"content_policy_violation"}}"#,
        ContentFilter,
    ),
    (
        400,
        r#"{"error":{"message":"Rejected.","type":"image_generation_user_error","code":"moderation_blocked"}}"#,
        ContentFilter,
    ),
    (
        400,
        r#"{"error":{"message":"Your prompt was flagged.","type":"invalid_request_error","code":"invalid_prompt"}}"#,
        ContentFilter,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
        ContentFilter,
    ),
    (
        403,
        r#"{"code":"The caller does not have permission","error":"Content violates usage guidelines."}"#,
        ContentFilter,
    ),
    (
        403,
        r#"{"error":{"message":"Project does not have access to it","type":"invalid_request_error","code":"model_not_found"}}"#,
        ModelNotFound,
    ),
    (
        400,
        r#"{"error":{"message":"It was retired.","type":"invalid_request_error","code":"model_decommissioned"}}"#,
        ModelNotFound,
    ),
    (
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#,
        ModelNotFound,
    ),
    (
        400,
        r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"invalid_request_error"}}"#,
        ModelNotFound,
    ),
    (400, r#"{"error":{"message":"x/y is not a valid model ID","code":400}}"#, ModelNotFound),
    (404, r#"{"error":{"message":"No endpoints found for x/y.","code":404}}"#, ModelNotFound),
    (
        400,
        r#"{"error":{"message":"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":""}}"#,
        ModelFailed,
    ),
    (
        400,
        r#"{"error":{"message":"Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"json_validate_failed","failed_generation":""}}"#,
        ModelFailed,
    ),
    (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Overloaded),
    (
        429,
        r#"{"error":{"message":"Reduce your request rate.","type":"server_error","code":"slow_down"}}"#,
        Overloaded,
    ),
    (
        500,
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        Overloaded,
    ),
    (
        400,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Number of request tokens has exceeded your limit"}}"#,
        RateLimit,
    ),
    (
        503,
        r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#,
        RateLimit,
    ),
    (
        429,
        r#"{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}"#,
        RateLimit,
    ),
    (400, r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#, Auth),
    (400, r#"{"type":"error","error":{"type":"permission_error","message":"no permission"}}"#, Auth),
    (400, r#"{"error":{"code":401,"message":"No credentials","status":"UNAUTHENTICATED"}}"#, Auth),
    (400, r#"{"error":{"code":403,"message":"Denied","status":"PERMISSION_DENIED"}}"#, Auth),
    (
        200,
        r#"{"error":{"message":"No valid output","type":"server_error","code":"invalid_output"}}"#,
        ServerError,
    ),
    (200, r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#, ServerError),
    (200, r#"{"error":{"message":"An internal error","status":"INTERNAL"}}"#, ServerError),
    (400, r#"{"type":"error","error":{"type":"timeout_error","message":"Request timed out"}}"#, ServerError),
    (400, r#"{"error":{"code":504,"message":"Deadline expired","status":"DEADLINE_EXCEEDED"}}"#, ServerError),
];

#[test]
fn every_row_of_the_table_has_a_fixture_that_it_decides() {
    let mut decided = BTreeSet::new();
    for (status, body, class) in FIXTURES {
        let found = match status {
            200 => error_inside(body.as_bytes()),
            _ => Some(classify(*status, Some(body.as_bytes()))),
        };
        assert_eq!(found, Some(*class), "{status} {body}");
        let clues = Clues::of(&read(body.as_bytes()).expect(body));
        let row = WORDS.iter().position(|row| match row.0 {
            At::Code | At::Vague => clues.codes.iter().any(|code| code == row.1),
            At::Message => clues.message.contains(row.1),
        });
        decided.extend(row);
    }
    let missing: Vec<_> =
        (0..WORDS.len()).filter(|row| !decided.contains(row)).map(|row| WORDS[row].1).collect();
    assert!(missing.is_empty(), "rows without a fixture: {missing:?}");
}

#[test]
fn without_words_the_status_decides() {
    let cases = [
        (302, ServerError),
        (400, InvalidRequest),
        (401, Auth),
        (402, Auth),
        (403, Auth),
        (404, InvalidRequest),
        (405, InvalidRequest),
        (408, ServerError),
        (413, ContextLength),
        (422, InvalidRequest),
        (429, RateLimit),
        (500, ServerError),
        (501, ServerError),
        (502, ServerError),
        (503, Overloaded),
        (520, ServerError),
        (529, Overloaded),
    ];
    for (status, class) in cases {
        for body in
            [None, Some(&b""[..]), Some(b"<html>Bad gateway</html>"), Some(b"{\"error\":null}"), Some(b"[]")]
        {
            assert_eq!(classify(status, body), class, "{status} {body:?}");
        }
    }
}

#[test]
fn a_404_is_about_the_model_only_if_it_says_so() {
    let cases = [
        (r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#, ModelNotFound),
        (
            r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}"#,
            ModelNotFound,
        ),
        (r#"{"error":"model 'llama' not found"}"#, ModelNotFound),
        (
            r#"{"error":{"message":"Invalid URL (POST /v1/chat)","type":"invalid_request_error"}}"#,
            InvalidRequest,
        ),
        (r#"{"detail":"Not Found"}"#, InvalidRequest),
    ];
    for (body, class) in cases {
        assert_eq!(classify(404, Some(body.as_bytes())), class, "{body}");
    }
}

#[test]
fn a_path_that_is_not_there_is_told_from_what_is_not_there_by_its_name() {
    for body in [
        "",
        "<html>404</html>",
        r#"{"detail":"Not Found"}"#,
        r#"{"type":"error","error":{"type":"not_found_error","message":"Not Found"}}"#,
        r#"{"error":{"message":"Invalid URL (POST /v2/chat/completions)","type":"invalid_request_error"}}"#,
    ] {
        assert!(lacks_path(404, body.as_bytes()), "{body}");
        assert!(!lacks_path(400, body.as_bytes()), "{body}");
    }
    for body in [
        r#"{"error":{"message":"Previous response with id 'resp_1' not found."}}"#,
        r#"{"type":"error","error":{"type":"not_found_error","message":"File not found: file_1"}}"#,
        r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#,
        r#"{"error":{"code":"previous_response_not_found"}}"#,
    ] {
        assert!(!lacks_path(404, body.as_bytes()), "{body}");
    }
    assert!(lacks_path(405, br#"{"error":{"message":"Method Not Allowed"}}"#));
}

#[test]
fn a_status_of_overload_says_more_than_a_generic_word() {
    let body = br#"{"error":{"message":"busy","type":"server_error","code":null}}"#;
    assert_eq!(classify(503, Some(body)), Overloaded);
    assert_eq!(classify(500, Some(body)), ServerError);
}

#[test]
fn a_generic_word_for_server_errors_does_not_outvote_a_status_of_the_client() {
    let statuses = [
        (400, InvalidRequest),
        (401, Auth),
        (403, Auth),
        (404, InvalidRequest),
        (413, ContextLength),
        (422, InvalidRequest),
        (429, RateLimit),
    ];
    let words = [
        r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#,
        r#"{"error":{"type":"server_error","message":"no","code":null}}"#,
        r#"{"error":{"status":"INTERNAL","message":"no"}}"#,
    ];
    for (status, class) in statuses {
        for body in words {
            assert_eq!(classify(status, Some(body.as_bytes())), class, "{status} {body}");
        }
    }
    let overloaded = br#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#;
    assert_eq!(classify(401, Some(overloaded)), Overloaded);
    let inside = br#"{"error":{"message":"no","type":"api_error","code":401}}"#;
    assert_eq!(error_inside(inside), Some(Auth), "an error's own status, too");
}

#[test]
fn what_the_message_of_a_server_error_quotes_is_not_believed() {
    let body = br#"{"error":{"message":"failed on input 'prompt is too long'"}}"#;
    assert_eq!(classify(500, Some(body)), ServerError);
    assert_eq!(classify(400, Some(body)), ContextLength);
}

#[test]
fn errors_inside_a_200_are_found_and_answers_are_none() {
    let error = |class| Some(Inside::Error(class));
    let cases = [
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, error(Overloaded)),
        (r#"{"error":{"message":"Provider returned error","code":502}}"#, error(ServerError)),
        (r#"{"error":{"message":"it quotes: prompt is too long","code":502}}"#, error(ServerError)),
        (r#"{"error":{"message":"Slow down","code":429}}"#, error(RateLimit)),
        (r#"{"error":"something broke"}"#, error(ServerError)),
        (r#"{"error":{"message":"prompt is too long"}}"#, error(ContextLength)),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#,
            error(InvalidRequest),
        ),
        (r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, error(ModelNotFound)),
        (r#"[{"error":{"code":503,"message":"no","status":"UNAVAILABLE"}}]"#, error(Overloaded)),
        (r#"{"type":"error","code":"rate_limit_exceeded","message":"no","param":null}"#, error(RateLimit)),
        (r#"{"type":"error","code":null,"message":"no"}"#, error(ServerError)),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"invalid_prompt","message":"no"}}}"#,
            error(ContentFilter),
        ),
        (r#"{"type":"response.failed","response":{"error":null}}"#, error(ServerError)),
        (r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{}}"#, Some(Inside::Blocked)),
        (r#"{"id":"resp_1","status":"completed","error":null,"output":[]}"#, None),
        (r#"{"type":"response.created","response":{"error":null}}"#, None),
        (r#"{"choices":[{"message":{"content":"prompt is too long"}}]}"#, None),
        (r#"{"choices":[],"error":""}"#, None),
        ("not json", None),
    ];
    for (body, inside) in cases {
        assert_eq!(classify_inside(body.as_bytes()), inside, "{body}");
        let class = if let Some(Inside::Error(class)) = inside { Some(class) } else { None };
        let is_whole = !body.contains("response.");
        assert!(!is_whole || error_inside(body.as_bytes()) == class, "{body}");
    }
}

#[test]
fn an_error_too_long_to_be_read_is_one_all_the_same() {
    let long = format!(r#"{{"error":{{"code":429,"message":"{}"}}}}"#, "x".repeat(MAX_ERROR_BODY));
    assert_eq!(error_inside(long.as_bytes()), Some(ServerError));
    let answer = format!(r#"{{"error": null,"output":"{}"}}"#, "x".repeat(MAX_ERROR_BODY));
    assert_eq!(error_inside(answer.as_bytes()), None);
}

#[test]
fn a_body_over_the_bound_is_not_read() {
    let body = |padding: usize| {
        let frame = r#"{"error":{"code":"content_filter","message":""}}"#;
        frame.replace(r#"message":""#, &format!(r#"message":"{}"#, "x".repeat(padding - frame.len())))
    };
    assert_eq!(classify(400, Some(body(MAX_ERROR_BODY).as_bytes())), ContentFilter);
    assert_eq!(classify(400, Some(body(MAX_ERROR_BODY + 1).as_bytes())), InvalidRequest);
}
