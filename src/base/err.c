#include "ciphony/base.h"

static const struct {
    const char *name;
    const char *text;
    enum cph_blame blame;
} errs[CPH_E_COUNT_] = {
#define CPH_ERR_ROW(name, blame, text) { #name, text, CPH_BLAME_##blame },
    CPH_ERR_LIST(CPH_ERR_ROW)
#undef CPH_ERR_ROW
};

static size_t row(cph_err err)
{
    return (size_t)err < CPH_E_COUNT_ ? (size_t)err : (size_t)CPH_E_BUG;
}

const char *cph_err_name(cph_err err)
{
    return errs[row(err)].name;
}

const char *cph_err_text(cph_err err)
{
    return errs[row(err)].text;
}

enum cph_blame cph_err_blame(cph_err err)
{
    return errs[row(err)].blame;
}
