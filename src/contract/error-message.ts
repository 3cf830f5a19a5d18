import {
  DefaultErrorFunction,
  ValueErrorType,
  type ErrorFunctionParameter,
} from "@sinclair/typebox/errors";

/**
 * What is wrong with a value, in TypeBox's words save where a union describes each of its variants: then what these are,
 * in place of "Expected union value".
 */
export function errorMessage(error: ErrorFunctionParameter): string {
  if (error.errorType !== ValueErrorType.Union) return DefaultErrorFunction(error);
  return (
    boundMessage(error) ?? variantsMessage(error.schema["anyOf"]) ?? DefaultErrorFunction(error)
  );
}

/** Of a value that has a variant's type and is only too long or too short for it. */
function boundMessage({ errors, path }: ErrorFunctionParameter): string | undefined {
  for (const variant of errors) {
    const first = variant.First();
    if (first?.path === path && BOUNDS.has(first.type)) return first.message;
  }
  return undefined;
}

const BOUNDS: ReadonlySet<ValueErrorType> = new Set([
  ValueErrorType.ArrayMaxItems,
  ValueErrorType.ArrayMinItems,
  ValueErrorType.StringMaxLength,
  ValueErrorType.StringMinLength,
]);

function variantsMessage(variants: unknown): string | undefined {
  if (!Array.isArray(variants)) return undefined;
  const described = variants.map(descriptionOf).filter((text) => text !== undefined);
  return described.length === variants.length ? `Expected ${described.join(" or ")}` : undefined;
}

function descriptionOf(variant: unknown): string | undefined {
  if (typeof variant !== "object" || variant === null || !("description" in variant))
    return undefined;
  return typeof variant.description === "string" ? variant.description : undefined;
}
