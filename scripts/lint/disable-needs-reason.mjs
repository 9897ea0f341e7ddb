/** A comment that switches a rule off has to say why, after ` -- `: the next reader must be able to disagree. */
export const disableNeedsReason = {
  meta: {
    type: "suggestion",
    docs: { description: "a disable comment states its reason after ` -- `" },
    messages: { reason: "say why after ` -- `, and name the rule" },
    schema: [],
  },
  create(context) {
    return {
      Program() {
        for (const comment of context.sourceCode.getAllComments()) {
          const text = comment.value.trim();
          const isSwitch = /^(eslint-disable(-next-line|-line)?|@ts-expect-error)\b/.test(text);
          if (!isSwitch) continue;
          const hasReason = text.startsWith("@ts-")
            ? /^@ts-expect-error[:\s-]+\S{3,}/.test(text)
            : /^eslint-disable\S*\s+\S.*\s--\s+\S{3,}/.test(text);
          if (!hasReason) context.report({ loc: comment.loc, messageId: "reason" });
        }
      },
    };
  },
};
