//! What a request may ask for that not every dialect has: one table of who lacks it, and what follows.
//!
//! A dialect that reads a request notes what it finds here; which provider can serve it, and what it has to do without,
//! is decided by the table alone. What is harmless to lose is left out of the provider's request and named in
//! `x-cliproxy-dropped`; what is not makes the provider no candidate. How an answer comes (its `n`, its `logprobs`) is
//! never harmless: the client reads it.

use super::signs::Api;

/// Something that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Feature {
    /// Sampling from the k likeliest tokens.
    TopK,
    /// Answers that can be had again.
    Seed,
    /// `presence_penalty` or `frequency_penalty`.
    Penalties,
    /// Biases of single tokens.
    LogitBias,
    /// The probabilities of tokens.
    Logprobs,
    /// Several answers to one question.
    SeveralAnswers,
    /// One call at a time.
    SerialCalls,
    /// More than four texts to stop at.
    FiveStops,
    /// More than five.
    SixStops,
    /// Sound to listen to.
    AudioInput,
    /// An answer that is spoken, or drawn.
    MediaOutput,
    /// Moving pictures.
    VideoInput,
    /// A document that isn't in the request itself, but somewhere to be fetched from.
    DocumentUrl,
    /// A name of bytes that the provider keeps: its files, its cached contents.
    ProviderState,
    /// An earlier answer, or a conversation, that the provider keeps.
    StoredConversation,
    /// Tools that the provider itself runs, such as web search.
    ServerTools,
    /// Tools whose arguments follow no JSON schema.
    CustomTools,
    /// Marks up to where a prompt is to be cached.
    CacheMarks,
    /// Who the client's own user is.
    User,
    /// A word on how fast, or how dear: `service_tier`.
    ServiceTier,
    /// Labels for the provider's own lists: `metadata`, `store`, `labels`.
    Labels,
    /// What the answer will be like: `prediction`.
    Prediction,
    /// How much is said: `verbosity`.
    Verbosity,
    /// What the provider's filter lets pass: `safetySettings`.
    SafetySettings,
    /// Thoughts of earlier turns that their maker signed, or that no other dialect has a place for.
    ForeignThoughts,
    /// Quotations that say where they are from.
    Citations,
    /// An answer that is one word of a list, and no JSON: Gemini's `text/x.enum`.
    EnumOutput,
    /// Anything else that this dialect alone has, and that is no part of the conversation.
    Other,
    /// Pieces of the conversation that this dialect alone has.
    ForeignContent,
    /// How many tokens a request has, and no answer to it.
    Counting,
    /// Vectors of texts.
    Embedding,
    /// Texts as the numbers of their tokens, which are another model's.
    TokenInput,
    /// More texts than Gemini takes in one request.
    ManyInputs,
    /// What an embedding is for.
    TaskType,
    /// What the text of an embedding is called.
    Title,
    /// A limit above what the model can say.
    Limit,
    /// A temperature that the model doesn't take.
    Temperature,
    /// The same of nucleus sampling.
    TopP,
    /// How hard to think, or to think at all, where the model can't do just that, or not on this turn.
    Effort,
    /// A text to stop at that is refused.
    Stops,
    /// Bounds in a schema that nobody can be held to.
    SchemaBounds,
    /// White space at the end of what is to be gone on from.
    TrailingSpace,
    /// That a tool failed.
    FailedResults,
    /// Pictures and sounds that the model itself has given.
    ModelMedia,
    /// What files are called.
    FileNames,
}

impl Feature {
    /// As the client is told.
    pub fn name(self) -> &'static str {
        ROWS[self as usize].name
    }
}

/// What follows where a dialect lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It is left out, and named to the client.
    Dropped,
    /// The request can't be served there.
    Refused,
}

/// A row of the table.
struct Row {
    feature: Feature,
    /// As the client is told: what is dropped, in a header's list; what is refused, as what nobody supports.
    name: &'static str,
    /// Who lacks it.
    lacking: &'static [Api],
    loss: Loss,
}

const fn dropped(feature: Feature, name: &'static str, lacking: &'static [Api]) -> Row {
    Row { feature, name, lacking, loss: Loss::Dropped }
}

const fn refused(feature: Feature, name: &'static str, lacking: &'static [Api]) -> Row {
    Row { feature, name, lacking, loss: Loss::Refused }
}

/// What is lost by the model or the value, and not by the API: who writes the request notes it.
const fn noted(feature: Feature, name: &'static str) -> Row {
    dropped(feature, name, &[])
}

/// Everybody: what only a pass within one dialect can keep. Providers of the Responses API are asked for counts alone.
const ALL: &[Api] = &[Api::Completions, Api::Responses, Api::Messages, Api::Generate];

/// The table. Sources: the vendors' references of Chat Completions, Messages, `generateContent`, and of embeddings.
static ROWS: [Row; 45] = [
    dropped(Feature::TopK, "top_k", &[Api::Completions]),
    dropped(Feature::Seed, "seed", &[Api::Messages]),
    dropped(Feature::Penalties, "penalties", &[Api::Messages]),
    dropped(Feature::LogitBias, "logit_bias", &[Api::Messages, Api::Generate]),
    refused(Feature::Logprobs, "logprobs", ALL),
    refused(Feature::SeveralAnswers, "more than one answer", ALL),
    dropped(Feature::SerialCalls, "parallel_tool_calls", &[Api::Generate]),
    refused(Feature::FiveStops, "more than 4 stop sequences", &[Api::Completions]),
    refused(Feature::SixStops, "more than 5 stop sequences", &[Api::Completions, Api::Generate]),
    refused(Feature::AudioInput, "audio input", &[Api::Messages]),
    refused(Feature::MediaOutput, "audio or image output", ALL),
    refused(Feature::VideoInput, "video input", &[Api::Completions, Api::Responses, Api::Messages]),
    refused(Feature::DocumentUrl, "documents by URL", &[Api::Completions]),
    refused(Feature::ProviderState, "files kept by the provider", ALL),
    refused(Feature::StoredConversation, "stored conversations", ALL),
    refused(Feature::ServerTools, "tools run by the provider", ALL),
    refused(Feature::CustomTools, "custom tools", ALL),
    dropped(Feature::CacheMarks, "cache_control", &[Api::Completions, Api::Responses, Api::Generate]),
    dropped(Feature::User, "user", &[Api::Generate]),
    dropped(Feature::ServiceTier, "service_tier", ALL),
    dropped(Feature::Labels, "metadata", ALL),
    dropped(Feature::Prediction, "prediction", ALL),
    // Most who imitate OpenAI lack the newest of its words.
    dropped(Feature::Verbosity, "verbosity", ALL),
    dropped(Feature::SafetySettings, "safety_settings", &[Api::Completions, Api::Messages]),
    dropped(Feature::ForeignThoughts, "thinking", ALL),
    dropped(Feature::Citations, "citations", &[Api::Completions, Api::Generate]),
    refused(Feature::EnumOutput, "answers as `text/x.enum`", ALL),
    dropped(Feature::Other, "other", ALL),
    refused(Feature::ForeignContent, "content that only this API knows", ALL),
    refused(Feature::Counting, "token counts", &[Api::Completions]),
    refused(Feature::Embedding, "embeddings", &[Api::Messages]),
    refused(Feature::TokenInput, "input in tokens", &[Api::Messages, Api::Generate]),
    refused(Feature::ManyInputs, "more than 100 inputs in one request", &[Api::Messages, Api::Generate]),
    dropped(Feature::TaskType, "taskType", &[Api::Completions]),
    dropped(Feature::Title, "title", &[Api::Completions]),
    noted(Feature::Limit, "max_tokens"),
    noted(Feature::Temperature, "temperature"),
    noted(Feature::TopP, "top_p"),
    noted(Feature::Effort, "reasoning_effort"),
    noted(Feature::Stops, "stop"),
    noted(Feature::SchemaBounds, "schema"),
    noted(Feature::TrailingSpace, "trailing whitespace"),
    noted(Feature::FailedResults, "is_error"),
    noted(Feature::ModelMedia, "media of the model"),
    noted(Feature::FileNames, "file names"),
];

/// What may hold words, or tools, that are not in the request, or not in words that are read.
const ELSEWHERE: [Feature; 5] = [
    Feature::ProviderState,
    Feature::StoredConversation,
    Feature::ServerTools,
    Feature::CustomTools,
    Feature::ForeignContent,
];

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// None.
    pub const NONE: Features = Features(0);

    /// Adds one.
    pub fn insert(&mut self, feature: Feature) {
        self.0 |= 1 << feature as u8;
    }

    /// Adds one, if so.
    pub fn insert_if(&mut self, is_asked: bool, feature: Feature) {
        if is_asked {
            self.insert(feature);
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, feature: Feature) {
        self.0 &= !(1 << feature as u8);
    }

    /// Whether it is among them.
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u8 != 0
    }

    /// Whether there may be more to the request than it says, in words, tools or pieces that its own provider keeps or
    /// alone understands: then nobody else can tell what is missing.
    pub(super) fn has_more_elsewhere(self) -> bool {
        ELSEWHERE.iter().any(|feature| self.contains(*feature))
    }

    /// The name of one for which a provider of that API can't serve the request.
    pub fn refused_by(self, api: Api) -> Option<&'static str> {
        self.lost(api, Loss::Refused).next()
    }

    /// The names of those that a provider of that API has to do without.
    pub fn dropped_by(self, api: Api) -> impl Iterator<Item = &'static str> {
        self.lost(api, Loss::Dropped)
    }

    fn lost(self, api: Api, loss: Loss) -> impl Iterator<Item = &'static str> {
        let is_lost =
            move |row: &&Row| self.contains(row.feature) && row.loss == loss && row.lacking.contains(&api);
        ROWS.iter().filter(is_lost).map(|row| row.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_one_row_and_a_bit_of_its_own() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!((row.feature as usize, row.feature.name()), (index, row.name));
            let mut features = Features::NONE;
            features.insert(row.feature);
            let others = ROWS.iter().filter(|other| features.contains(other.feature)).count();
            assert_eq!(others, 1, "{}", row.name);
            assert!(!row.lacking.is_empty() || row.loss == Loss::Dropped);
            assert_eq!(ROWS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        }
    }

    #[test]
    fn what_has_more_elsewhere_is_served_there_alone() {
        for feature in ELSEWHERE {
            let mut features = Features::NONE;
            features.insert(feature);
            assert!(features.has_more_elsewhere());
            assert!(ALL.iter().all(|api| features.refused_by(*api).is_some()), "{feature:?}");
        }
        assert!(!Features::NONE.has_more_elsewhere());
    }

    #[test]
    fn what_is_lost_depends_on_who_serves() {
        let mut features = Features::NONE;
        features.insert(Feature::TopK);
        features.insert_if(true, Feature::FiveStops);
        features.insert_if(false, Feature::Seed);
        assert_eq!(features.refused_by(Api::Completions), Some("more than 4 stop sequences"));
        assert_eq!(features.refused_by(Api::Generate), None);
        assert_eq!(features.dropped_by(Api::Completions).collect::<Vec<_>>(), ["top_k"]);
        assert_eq!(features.dropped_by(Api::Messages).count(), 0);
    }
}
