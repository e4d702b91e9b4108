/**
 * What an error of Azure concerns, and so who is affected:
 * `blob` this one, whatever is written to it, while any other name will do; `lease` the same for as long as somebody holds a lease;
 * `content` what was sent, under any name; `condition` an answer that the caller asked for, as a value where it is expected;
 * `passing` nobody for long: the same again may do; `account` everybody: credentials, account, container, or a call that is wrong.
 */
export type Concern = 'blob' | 'lease' | 'content' | 'condition' | 'passing' | 'account'

/**
 * Every code of https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and of the common ones that block
 * blobs can meet. What only page blobs, append blobs and copies have is left to `concernOf` and its status.
 */
const CONCERNS: Readonly<Record<Concern, Readonly<Record<string, string>>>> = {
  blob: {
    BlobImmutableDueToLegalHold: 'a legal hold on the blob or its container: what exists stays as it is, new names can be written',
    BlobImmutableDueToPolicy: 'the same by an immutability policy, for its time',
    ContainerHasLegalHold: 'the same, for the container',
    ContainerImmutabilityPolicyLocked: 'the same, for the container',
    BlobArchived: 'in the archive tier: neither read nor changed before it is rehydrated',
    BlobBeingRehydrated: 'on its way out of the archive tier, which takes hours',
    BlobNotArchived: 'its tier is not what was supposed',
    BlobAccessTierNotSupportedForAccountType: 'its tier is none of the account',
    BlobTierInadequateForContentLength: 'its tier takes no blob of that size',
    ContentLengthLargerThanTierLimit: 'the same',
    CannotChangeToLowerTier: 'its tier was set by somebody else',
    InvalidBlobTier: 'its tier does not fit its type',
    InvalidBlobType: 'somebody made a page or append blob of that name',
    ResourceTypeMismatch: 'a directory of that name, where the account has a hierarchical namespace',
    BlobOperationNotSupported: 'made by the Data Lake API, which takes no blocks afterwards',
    BlobOverwritten: 'somebody made it anew',
    BlobUsesCustomerSpecifiedEncryption: 'encrypted with a key that is not here',
    BlobDoesNotUseCustomerSpecifiedEncryption: 'not encrypted with the key of this call',
    BlobCustomerSpecifiedEncryptionMismatch: 'encrypted with another key',
    BlockCountExceedsLimit: 'it has 50,000 blocks, or 100,000 uncommitted ones',
    BlockListTooLong: 'the same limit, found in the list',
    PendingCopyOperation: 'somebody copies another blob over it',
    NoPendingCopyOperation: 'the copy that was supposed is none',
    OperationNotAllowedOnIncrementalCopyBlob: 'it is the target of incremental copies',
    SnapshotsPresent: 'it has snapshots, and would lose them',
    SnapshotCountExceeded: 'it has as many snapshots as a blob may have',
  },
  lease: {
    LeaseAlreadyPresent: 'somebody holds a lease',
    LeaseIdMissing: 'the same: without its id nothing is changed',
    LeaseIdMismatchWithBlobOperation: 'somebody else holds it',
    LeaseIdMismatchWithLeaseOperation: 'the same',
    LeaseIsBreakingAndCannotBeAcquired: 'it ends within a minute',
    LeaseIsBreakingAndCannotBeChanged: 'the same',
    LeaseAlreadyBroken: 'it has just ended',
    LeaseIsBrokenAndCannotBeRenewed: 'it has just ended',
    LeaseLost: 'it ended meanwhile',
    LeaseNotPresentWithBlobOperation: 'it ended meanwhile',
    LeaseNotPresentWithLeaseOperation: 'it ended meanwhile',
    InfiniteLeaseDurationRequired: 'it is held without an end',
  },
  content: {
    RequestBodyTooLarge: 'one request is larger than the service, or a proxy before it, takes: smaller ones go through',
    RequestEntityTooLarge: 'the same, as proxies call it',
    MetadataTooLarge: 'metadata above 8 KiB',
    EmptyMetadataKey: 'metadata without a name',
    InvalidMetadata: 'metadata that is no header',
    InvalidResourceName: 'the name is none of a blob',
    RequestUrlFailedToParse: 'the same',
  },
  condition: {
    ConditionNotMet: 'If-Match or If-None-Match does not hold',
    TargetConditionNotMet: 'the same',
    SourceConditionNotMet: 'the same',
    BlobAlreadyExists: 'If-None-Match: * does not hold',
    ContainerAlreadyExists: 'it was to be created and is there',
    ResourceAlreadyExists: 'the same',
    BlobNotFound: 'it is not there',
    ResourceNotFound: 'the same',
    InvalidRange: 'the range begins behind the end',
    InvalidBlockList: 'a listed block was discarded by another commit, or after seven days',
  },
  passing: {
    InternalError: 'of the service',
    OperationTimedOut: 'of the service',
    ServerBusy: 'it sheds load',
    SystemInUse: 'the same',
    SnapshotOperationRateExceeded: 'too many snapshots within a time',
    AccountBeingCreated: 'it will be there',
    ContainerBeingDeleted: 'it can be created again soon',
    Md5Mismatch: 'bytes were changed on their way',
  },
  account: {
    AccountIsDisabled: 'nothing of it can be written',
    AccountAlreadyExists: 'of the management of accounts',
    InsufficientAccountPermissions: 'read access only, as in a secondary region',
    AuthenticationFailed: 'the key or its clock is wrong',
    InvalidAuthenticationInfo: 'the same',
    NoAuthenticationInformation: 'there are no credentials',
    AuthorizationFailure: 'network rules or rights',
    AuthorizationPermissionMismatch: 'the identity lacks a role',
    AuthorizationProtocolMismatch: 'not by this protocol',
    AuthorizationResourceTypeMismatch: 'a token for something else',
    AuthorizationServiceMismatch: 'a token for another service',
    AuthorizationSourceIPMismatch: 'not from this address',
    UnauthorizedBlobOverwrite: 'these credentials may create blobs and not overwrite them',
    KeyVaultEncryptionKeyNotFound: 'the key of the account is gone',
    KeyVaultAccessTokenCannotBeAcquired: 'the key of the account cannot be reached',
    KeyVaultVaultNotFound: 'the same',
    ContainerDisabled: 'nothing of it can be written',
    ContainerNotFound: 'it must be created',
    LeaseIdMismatchWithContainerOperation: 'a lease on the container',
    LeaseNotPresentWithContainerOperation: 'the same',
    FeatureVersionMismatch: 'the version of the protocol: all calls are alike',
    // A call that is wrong is so for all blobs: headers, query and form are the same for each.
    ConditionHeadersNotSupported: 'a wrong call',
    MultipleConditionHeadersNotSupported: 'a wrong call',
    InvalidBlobOrBlock: 'a wrong call, unless somebody else staged blocks of the blob with ids of another length',
    InvalidBlockId: 'a wrong call',
    InvalidHeaderValue: 'a wrong call; also how Azurite refuses a version of the protocol',
    InvalidHttpVerb: 'a wrong call',
    InvalidInput: 'a wrong call',
    InvalidMd5: 'a wrong call',
    InvalidOperation: 'a wrong call',
    InvalidQueryParameterValue: 'a wrong call',
    InvalidUri: 'a wrong call',
    InvalidXmlDocument: 'a wrong call',
    InvalidXmlNodeValue: 'a wrong call',
    MissingContentLengthHeader: 'a wrong call',
    MissingRequiredHeader: 'a wrong call',
    MissingRequiredQueryParameter: 'a wrong call',
    MissingRequiredXmlNode: 'a wrong call',
    OutOfRangeInput: 'a wrong call',
    OutOfRangeQueryParameterValue: 'a wrong call',
    UnsupportedHeader: 'a wrong call',
    UnsupportedHttpVerb: 'a wrong call',
    UnsupportedQueryParameter: 'a wrong call',
    UnsupportedXmlNode: 'a wrong call',
  },
}

const BY_CODE: ReadonlyMap<string, Concern> = new Map(
  Object.entries(CONCERNS).flatMap(([concern, codes]) => Object.keys(codes).map((code): [string, Concern] => [code, concern as Concern])),
)

/**
 * What an answer concerns; an unknown code by its status, which RFC 9110 §15.5 defines.
 * @param code Azure's, where the answer has one: those of proxies have none
 */
export function concernOf(status: number | undefined, code: string | undefined): Concern {
  const known = BY_CODE.get(code ?? '')
  if (known !== undefined) return known
  if (status === undefined || status === 408 || status === 429 || status >= 500) return 'passing'
  if (status === 404 || status === 412 || status === 416) return 'condition'
  if (status === 413 || status === 414 || status === 431) return 'content'
  // A conflict with the state of the target resource.
  return status === 409 ? 'blob' : 'account'
}
