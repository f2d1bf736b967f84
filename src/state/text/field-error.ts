/** An error of one field of a request; `pointer` is a JSON Pointer (RFC 6901) into its body. */
export interface FieldError {
  pointer: string;
  message: string;
}
